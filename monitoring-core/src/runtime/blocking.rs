//! Work that blocks, on Tokio's threads for it.

use std::sync::LazyLock;
use std::time::Instant;

use tokio::task::JoinHandle;

#[cfg(not(tokio_unstable))]
use crate::catalogue::{SAAS_TOKIO_BLOCKING_QUEUE_DEPTH, SAAS_TOKIO_BLOCKING_THREADS};
use crate::catalogue::{SAAS_TOKIO_BLOCKING_RUN, SAAS_TOKIO_BLOCKING_WAIT};
use crate::{Histogram, InstrumentSet, Instruments, Monitoring, Registry, RegistryError, Tenant};
#[cfg(not(tokio_unstable))]
use crate::{UpDownCounter, UpDownEntry};

/// The families of blocking work. With `--cfg tokio_unstable` the runtime itself says what is running and what waits.
#[derive(Debug)]
struct BlockingFamilies {
    #[cfg(not(tokio_unstable))]
    threads: UpDownCounter<()>,
    #[cfg(not(tokio_unstable))]
    queue_depth: UpDownCounter<()>,
    wait: Histogram<()>,
    run: Histogram<()>,
}

impl InstrumentSet for BlockingFamilies {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            #[cfg(not(tokio_unstable))]
            threads: registry.up_down_counter(&SAAS_TOKIO_BLOCKING_THREADS)?,
            #[cfg(not(tokio_unstable))]
            queue_depth: registry.up_down_counter(&SAAS_TOKIO_BLOCKING_QUEUE_DEPTH)?,
            wait: registry.histogram(&SAAS_TOKIO_BLOCKING_WAIT)?,
            run: registry.histogram(&SAAS_TOKIO_BLOCKING_RUN)?,
        })
    }
}

/// Runs `work` where it may block, as [`tokio::task::spawn_blocking`] does, and measures it in the global monitoring.
///
/// While it waits for a thread it counts in `saas_tokio_blocking_queue_depth`, while it runs in
/// `saas_tokio_blocking_threads`; how long it waited and ran are the histograms `saas_tokio_blocking_wait_seconds` and
/// `saas_tokio_blocking_run_seconds`. The current tenant is that of the work too. A panic is the [`JoinError`] that it is
/// with Tokio, and recorded as the end of the work; what is aborted before it began has not run.
///
/// Costs three readings of the clock and a few atomic additions, about 200 ns beside the microseconds that handing work to another
/// thread takes.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), tokio::task::JoinError> {
/// let sum = monitoring_core::runtime::spawn_blocking(|| (1..=1_000_u64).sum::<u64>()).await?;
/// assert_eq!(sum, 500_500);
/// # Ok(()) }
/// ```
///
/// # Panics
/// Outside of a Tokio runtime, as Tokio's own.
///
/// [`JoinError`]: tokio::task::JoinError
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    static GLOBAL: LazyLock<Blocking> = LazyLock::new(|| Blocking { instruments: Instruments::global() });
    GLOBAL.spawn(work)
}

/// What [`spawn_blocking`] does, for a monitoring that is not the global one.
#[derive(Clone, Debug)]
pub struct Blocking {
    instruments: Instruments<BlockingFamilies>,
}

impl Blocking {
    /// Measures in that monitoring.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn of(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        Ok(Self { instruments: Instruments::of(monitoring)? })
    }

    /// Runs `work` where it may block: see [`spawn_blocking`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime, as Tokio's own.
    #[track_caller]
    pub fn spawn<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (waiting, tenant) = (Waiting::begin(&self.instruments), Tenant::current());
        tokio::task::spawn_blocking(move || {
            let _running = waiting.run();
            let _entered = tenant.enter();
            work()
        })
    }
}

/// Work that waits for a thread. Dropped, it is given up.
struct Waiting {
    instruments: Instruments<BlockingFamilies>,
    /// `None` where nothing is measured.
    since: Option<Instant>,
    #[cfg(not(tokio_unstable))]
    queued: Option<UpDownEntry>,
}

impl Waiting {
    fn begin(instruments: &Instruments<BlockingFamilies>) -> Self {
        Self {
            since: instruments.get().map(|_families| Instant::now()),
            #[cfg(not(tokio_unstable))]
            queued: instruments.get().map(|families| families.queue_depth.enter(())),
            instruments: instruments.clone(),
        }
    }

    fn run(self) -> Running {
        let instruments = self.instruments.clone();
        let (Some(families), Some(queued)) = (instruments.get(), self.since) else {
            return Running {
                instruments,
                since: None,
                #[cfg(not(tokio_unstable))]
                thread: None,
            };
        };
        let now = Instant::now();
        families.wait.record((), now.saturating_duration_since(queued));
        // It no longer waits when it runs.
        drop(self);
        Running {
            since: Some(now),
            #[cfg(not(tokio_unstable))]
            thread: instruments.get().map(|families| families.threads.enter(())),
            instruments,
        }
    }
}

#[cfg(not(tokio_unstable))]
impl Drop for Waiting {
    fn drop(&mut self) {
        if let (Some(families), Some(queued)) = (self.instruments.get(), self.queued.take()) {
            families.queue_depth.leave(queued);
        }
    }
}

/// Work that runs, until this is dropped: at its end or by its panic.
struct Running {
    instruments: Instruments<BlockingFamilies>,
    since: Option<Instant>,
    #[cfg(not(tokio_unstable))]
    thread: Option<UpDownEntry>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(families), Some(since)) = (self.instruments.get(), self.since) else { return };
        families.run.record((), since.elapsed());
        #[cfg(not(tokio_unstable))]
        if let Some(thread) = self.thread.take() {
            families.threads.leave(thread);
        }
    }
}

#[cfg(test)]
mod tests;
