//! Futures whose polls take too long.

use std::pin::Pin;
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::catalogue::SAAS_TOKIO_LONG_POLLS;
use crate::{Counter, InstrumentSet, Instruments, Monitoring, Registry, RegistryError};

/// A poll that takes longer is long, unless another threshold was set. As long is a "long task" of the W3C's Long Tasks
/// API, which is what a user begins to notice. Well-behaved polls take less than a hundred microseconds.
const THRESHOLD: Duration = Duration::from_millis(50);

/// The least time between two log events.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct PollFamilies {
    long_polls: Counter<()>,
    /// When the last one was logged.
    logged: Mutex<Option<Instant>>,
}

impl InstrumentSet for PollFamilies {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let long_polls = registry.counter(&SAAS_TOKIO_LONG_POLLS)?;
        // There from the start, so that the first one is seen as growth.
        long_polls.add((), 0);
        Ok(Self { long_polls, logged: Mutex::default() })
    }
}

impl PollFamilies {
    #[cold]
    fn note(&self, took: Duration) {
        self.long_polls.add((), 1);
        let Ok(mut logged) = self.logged.try_lock() else { return };
        let now = Instant::now();
        if logged.is_none_or(|logged| now.saturating_duration_since(logged) >= LOG_INTERVAL) {
            *logged = Some(now);
            drop(logged);
            tracing::warn!(
                seconds = took.as_secs_f64(),
                "a future was polled for long, and held up its worker: what blocks or computes belongs into `spawn_blocking`"
            );
        }
    }
}

/// Finds polls that take too long: of requests as a tower layer, of any future with [`measure`](Self::measure) or
/// [`MeasurePolls`]. A clone counts into the same.
///
/// A poll that took longer than the threshold counts in `saas_tokio_long_polls_total`, and at most one a second is logged,
/// as a warning within the span that is current: so the log names the route that the counter does not. What counts is the
/// time on the clock: a thread that the system has stopped for so long counts too.
///
/// Costs two readings of the clock for each poll, about 50 ns; nothing before
/// [`install`](crate::MonitoringBuilder::install).
///
/// ```
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_core::runtime::LongPolls;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let long_polls = LongPolls::of(&monitoring)?.threshold(Duration::from_millis(10));
///
/// // An `async` block that does not yield for 20 ms.
/// long_polls.measure(async { std::thread::sleep(Duration::from_millis(20)) }).await;
/// assert!(monitoring.render().contains("saas_tokio_long_polls_total 1"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LongPolls {
    instruments: Instruments<PollFamilies>,
    threshold: Duration,
}

static GLOBAL: LazyLock<LongPolls> =
    LazyLock::new(|| LongPolls { instruments: Instruments::global(), threshold: THRESHOLD });

impl LongPolls {
    /// Counts in the global monitoring, polls of more than 50 ms.
    pub fn new() -> Self {
        GLOBAL.clone()
    }

    /// Counts in that monitoring, polls of more than 50 ms.
    ///
    /// # Errors
    /// When the name of the metric is taken by a different one.
    pub fn of(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        Ok(Self { instruments: Instruments::of(monitoring)?, threshold: THRESHOLD })
    }

    /// Counts polls that take longer than that.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = threshold;
        self
    }

    /// That future, each of its polls timed.
    pub fn measure<F: Future>(&self, future: F) -> MeasuredPolls<F> {
        MeasuredPolls { future, long_polls: self.clone() }
    }
}

impl Default for LongPolls {
    fn default() -> Self {
        Self::new()
    }
}

/// Times the polls of a future, for the global monitoring.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), tokio::task::JoinError> {
/// use monitoring_core::runtime::MeasurePolls;
///
/// let task = tokio::spawn(async { 7 }.measure_polls());
/// assert_eq!(task.await?, 7);
/// # Ok(()) }
/// ```
pub trait MeasurePolls: Future + Sized {
    /// This future; a poll of more than 50 ms counts as [long](LongPolls).
    fn measure_polls(self) -> MeasuredPolls<Self> {
        GLOBAL.measure(self)
    }
}

impl<F: Future> MeasurePolls for F {}

/// A future whose polls are timed, made by [`LongPolls`] or [`MeasurePolls`].
#[pin_project]
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct MeasuredPolls<F> {
    #[pin]
    future: F,
    long_polls: LongPolls,
}

impl<F: Future> Future for MeasuredPolls<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(families) = this.long_polls.instruments.get() else { return this.future.poll(task) };
        let begun = Instant::now();
        let result = this.future.poll(task);
        let took = begun.elapsed();
        if took > this.long_polls.threshold {
            families.note(took);
        }
        result
    }
}

/// A service that times the polls of its responses' futures.
///
/// Polls of a response's body are not among them: wrap what makes a stream.
impl<S> Layer<S> for LongPolls {
    type Service = LongPollService<S>;

    fn layer(&self, service: S) -> LongPollService<S> {
        LongPollService { service, long_polls: self.clone() }
    }
}

/// A service inside the layer [`LongPolls`].
#[derive(Clone, Debug)]
pub struct LongPollService<S> {
    service: S,
    long_polls: LongPolls,
}

impl<S: Service<R>, R> Service<R> for LongPollService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = MeasuredPolls<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(task)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.long_polls.measure(self.service.call(request))
    }
}

#[cfg(test)]
mod tests;
