//! Work on a registry, on a thread of its own: whoever wants its result waits for it, but not for ever.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Registry;

/// Some work on a registry that is done once at a time, for all who ask for it meanwhile. What hangs is not begun again:
/// it costs one thread, however often it is asked for.
///
/// The thread is not one of Tokio's for blocking work, since a runtime that ends waits for those.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<Option<Flight>>);

/// The last time that the work was done, or is being done.
#[derive(Clone, Debug)]
struct Flight {
    began: Instant,
    /// Closed when it is over.
    over: watch::Receiver<()>,
}

impl SingleFlight {
    /// Has the work done, or joins those who wait for it. Nothing is done if it was begun less than `age` ago and is
    /// over. `false` if it is not over when it has taken `patience`.
    ///
    /// Panics outside of a Tokio runtime with its timer enabled.
    pub(super) async fn fly(
        &self,
        registry: &Registry,
        age: Duration,
        patience: Duration,
        work: fn(&Registry),
    ) -> bool {
        let Some(Flight { began, mut over }) = self.join(registry, age, work) else { return false };
        let left = patience.saturating_sub(began.elapsed());
        // Nothing is ever sent.
        timeout(left, async { while over.changed().await.is_ok() {} }).await.is_ok()
    }

    /// Has the work begun, and waits for nothing; `false` if it is not over `patience` after it was begun.
    #[cfg(feature = "metrics")]
    pub(super) fn begin(&self, registry: &Registry, patience: Duration, work: fn(&Registry)) -> bool {
        let flight = self.join(registry, Duration::ZERO, work);
        flight.is_some_and(|flight| flight.over.has_changed().is_err() || flight.began.elapsed() < patience)
    }

    fn join(&self, registry: &Registry, age: Duration, work: fn(&Registry)) -> Option<Flight> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = last.as_ref()
            && (flight.over.has_changed().is_ok() || flight.began.elapsed() < age)
        {
            return Some(flight.clone());
        }
        let (end, over) = watch::channel(());
        let (registry, runtime) = (registry.clone(), Handle::try_current());
        let fly = move || {
            let _end = end;
            // Collectors may look at the runtime that they are of.
            let _entered = runtime.as_ref().map(Handle::enter);
            work(&registry);
        };
        thread::Builder::new().name("monitoring-collect".to_owned()).spawn(fly).ok()?;
        Some(last.insert(Flight { began: Instant::now(), over }).clone())
    }
}
