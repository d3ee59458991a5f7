//! How a service ends without losing a request.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Monitoring;
use crate::error::ConfigError;
use crate::variables::Variables;

const SECONDS: &str = "seconds, such as `5` or `0.5`";

/// How a service ends: told to, it is **not ready at once** but goes on serving, until those who send it requests have
/// noticed; then nobody else is let in, and what is being answered has until a deadline to be answered.
///
/// ```no_run
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::Drain;
/// # struct Serving;
/// # impl Serving {
/// #     fn with_graceful_shutdown(self, _told: impl Future<Output = ()>) -> impl Future<Output = std::io::Result<()>> { async { Ok(()) } }
/// # }
/// # mod axum { pub(super) fn serve(_listener: (), _app: ()) -> super::Serving { super::Serving } }
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (listener, app) = ((), ());
/// let monitoring = Monitoring::from_env("billing")?.install()?;
/// let draining = Drain::from_env(&monitoring)?.on_signals()?;
/// let serving = axum::serve(listener, app).with_graceful_shutdown(draining.listener_closes());
/// draining.finish(serving).await?;
/// monitoring.shutdown(Duration::from_secs(5)).await?; // last, so that everything before is still measured
/// # Ok(()) }
/// ```
///
/// A second signal ends the delay, a third one the waiting for answers.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `on_signals` or `when`"]
pub struct Drain {
    monitoring: Monitoring,
    delay: Duration,
    deadline: Duration,
}

impl Drain {
    /// With a delay of 5 seconds and a deadline of 20: together less than the 30 after which Kubernetes kills.
    pub fn of(monitoring: &Monitoring) -> Self {
        Self { monitoring: monitoring.clone(), delay: Duration::from_secs(5), deadline: Duration::from_secs(20) }
    }

    /// The same, with the seconds of the environment variables `MONITORING_DRAIN_DELAY` and `MONITORING_DRAIN_DEADLINE`
    /// where they are set.
    ///
    /// # Errors
    /// When a variable cannot be read: the error names it and says what it may be.
    pub fn from_env(monitoring: &Monitoring) -> Result<Self, ConfigError> {
        Self::of(monitoring).read(|name| std::env::var(name))
    }

    fn read(mut self, variable: impl Fn(&str) -> Result<String, std::env::VarError>) -> Result<Self, ConfigError> {
        let variables = Variables(variable);
        if let Some(delay) = variables.parse("MONITORING_DRAIN_DELAY", SECONDS, seconds)? {
            self.delay = delay;
        }
        if let Some(deadline) = variables.parse("MONITORING_DRAIN_DEADLINE", SECONDS, seconds)? {
            self.deadline = deadline;
        }
        Ok(self)
    }

    /// How long to go on serving while not ready. Default 5 seconds. It has to be longer than it takes load balancers to
    /// notice: the period of their probe times the failures that they wait for, and a second or two until all of them know.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long what is being answered may take, once nobody else is let in. Default 20 seconds.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Waits for SIGTERM or SIGINT (Ctrl-C) from now on: they no longer end the process by themselves.
    ///
    /// # Errors
    /// When the signals cannot be received, and outside of a Tokio runtime.
    pub fn on_signals(self) -> Result<Draining, DrainError> {
        let runtime = Handle::try_current().map_err(|_outside| DrainError::NoRuntime)?;
        let told = Told::by_signals().map_err(DrainError::Signals)?;
        Ok(self.follow(&runtime, told))
    }

    /// Waits for `told` in place of signals: for a process that is told to end in another way.
    ///
    /// # Errors
    /// Outside of a Tokio runtime.
    pub fn when(self, told: impl Future<Output = ()> + Send + 'static) -> Result<Draining, DrainError> {
        let runtime = Handle::try_current().map_err(|_outside| DrainError::NoRuntime)?;
        Ok(self.follow(&runtime, Told::Once(Some(Box::pin(told)))))
    }

    fn follow(self, runtime: &Handle, mut told: Told) -> Draining {
        let Self { monitoring, delay, deadline } = self;
        let (sender, phase) = watch::channel(Phase::Serving);
        // It outlives the handle: the signals are received, so somebody has to act on them.
        runtime.spawn(async move {
            let has_ended = monitoring.draining();
            let mut has_ended = std::pin::pin!(has_ended);
            let is_ending = tokio::select! {
                () = told.again() => false,
                () = &mut has_ended => true,
            };
            monitoring.begin_draining();
            if !is_ending {
                tracing::info!(?delay, "told to end: not ready from now on, and serving until the delay is over");
                tokio::select! {
                    () = sleep(delay) => {}
                    () = told.again() => {}
                    () = &mut has_ended => {}
                }
            }
            sender.send_replace(Phase::Closing);
            told.again().await;
            sender.send_replace(Phase::Ending);
        });
        Draining { phase, deadline }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The listener is open, be the service ready or not.
    Serving,
    /// Nobody else is let in.
    Closing,
    /// Somebody does not want to wait for the deadline.
    Ending,
}

/// A service that ends when it is told to; made by [`Drain`].
#[derive(Clone, Debug)]
pub struct Draining {
    phase: watch::Receiver<Phase>,
    deadline: Duration,
}

impl Draining {
    /// Resolves when nobody else is to be let in: for the graceful shutdown of a server.
    pub fn listener_closes(&self) -> impl Future<Output = ()> + Send + use<> {
        reached(self.phase.clone(), Phase::Closing)
    }

    /// Serves until all is answered that was let in, or the deadline has passed since the listener closed. `serving` is a
    /// server that ends by [`listener_closes`](Self::listener_closes).
    ///
    /// # Errors
    /// When the server fails, and when it is cut off at the deadline.
    pub async fn finish(&self, serving: impl IntoFuture<Output = io::Result<()>>) -> Result<(), DrainError> {
        let deadline = async {
            self.listener_closes().await;
            tokio::select! {
                () = sleep(self.deadline) => {}
                () = reached(self.phase.clone(), Phase::Ending) => {}
            }
        };
        tokio::select! {
            biased;
            served = serving.into_future() => served.map_err(DrainError::Serve),
            () = deadline => Err(DrainError::Late),
        }
    }
}

async fn reached(mut phase: watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        // The runtime that would have been told is gone.
        std::future::pending::<()>().await;
    }
}

/// How a process is told to end.
enum Told {
    #[cfg(unix)]
    BySignals {
        terminate: tokio::signal::unix::Signal,
        interrupt: tokio::signal::unix::Signal,
    },
    #[cfg(not(unix))]
    ByCtrlC,
    Once(Option<Pin<Box<dyn Future<Output = ()> + Send>>>),
}

impl Told {
    #[cfg(unix)]
    fn by_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self::BySignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    fn by_signals() -> io::Result<Self> {
        Ok(Self::ByCtrlC)
    }

    /// Resolves when it is told once more.
    async fn again(&mut self) {
        match self {
            #[cfg(unix)]
            Self::BySignals { terminate, interrupt } => {
                tokio::select! {
                    Some(()) = terminate.recv() => {}
                    Some(()) = interrupt.recv() => {}
                    else => std::future::pending().await,
                }
            }
            #[cfg(not(unix))]
            Self::ByCtrlC => {
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Once(Some(told)) => {
                told.await;
                *self = Self::Once(None);
            }
            Self::Once(None) => std::future::pending().await,
        }
    }
}

/// Why a service did not end as it should.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// The server failed.
    #[error("the server failed: {0}")]
    Serve(#[source] io::Error),
    /// Requests were still being answered.
    #[error(
        "requests were still being answered when the time was up, and are cut off: raise MONITORING_DRAIN_DEADLINE, or \
         give requests time-outs that are shorter"
    )]
    Late,
    /// The signals cannot be received.
    #[error("SIGTERM and SIGINT cannot be received: {0}")]
    Signals(#[source] io::Error),
    /// There is no runtime to wait in.
    #[error("draining needs a Tokio runtime: call `on_signals` or `when` inside one, such as #[tokio::main] makes")]
    NoRuntime,
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for DrainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::env::VarError;

    use tokio::sync::oneshot;

    use super::*;

    fn drain() -> (Monitoring, Drain) {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let drain = Drain::of(&monitoring);
        (monitoring, drain)
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_told_to_end_is_not_ready_before_its_listener_closes() {
        let (monitoring, drain) = drain();
        let (tell, told) = oneshot::channel();
        let draining = drain.when(async { told.await.unwrap() }).unwrap();
        let closes = draining.listener_closes();
        assert!(monitoring.is_ready());
        let before = tokio::time::Instant::now();
        tell.send(()).unwrap();
        while monitoring.is_ready() {
            tokio::task::yield_now().await;
        }
        assert_eq!(before.elapsed(), Duration::ZERO);
        // The application's own opinion does not make it ready again.
        monitoring.set_ready(true);
        assert!(!monitoring.is_ready());
        closes.await;
        assert!(before.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_by_the_deadline_is_cut_off() {
        let (_monitoring, drain) = drain();
        let draining = drain.deadline(Duration::from_secs(3)).when(async {}).unwrap();
        let before = tokio::time::Instant::now();
        let serving = std::future::pending::<io::Result<()>>();
        assert!(matches!(draining.finish(serving).await, Err(DrainError::Late)));
        assert_eq!(before.elapsed().as_secs(), 8);
        let served = async { Ok(()) };
        assert!(draining.finish(served).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_from_elsewhere_closes_the_listener_without_delay() {
        let (monitoring, drain) = drain();
        let draining = drain.when(std::future::pending()).unwrap();
        let before = tokio::time::Instant::now();
        monitoring.shutdown(Duration::ZERO).await.unwrap();
        draining.listener_closes().await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[test]
    fn the_times_come_from_variables_and_a_wrong_one_is_named() {
        let of = |text: &'static str| {
            drain().1.read(move |name| match name {
                "MONITORING_DRAIN_DELAY" => Ok(text.to_owned()),
                _ => Err(VarError::NotPresent),
            })
        };
        assert_eq!(of("0.5").unwrap().delay, Duration::from_millis(500));
        assert_eq!(of("").unwrap().delay, Duration::from_secs(5));
        for wrong in ["-1", "NaN", "1e99", "five"] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("MONITORING_DRAIN_DELAY") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn draining_outside_of_a_runtime_is_an_error_that_says_so() {
        let error = drain().1.on_signals().unwrap_err();
        assert!(error.to_string().contains("Tokio runtime"));
    }
}
