//! Whether a service takes requests, by what is known of it in this process.

use std::sync::atomic::Ordering;

use crate::Monitoring;
#[cfg(feature = "health")]
use crate::health::Health;

impl Monitoring {
    /// Whether the service takes requests: from the start, until [`set_ready`](Self::set_ready),
    /// [`begin_draining`](Self::begin_draining) or [`shutdown`](Self::shutdown) says otherwise. With the feature `health` and
    /// critical checks in `Health`: once all of them have passed, and while none of them is down.
    pub fn is_ready(&self) -> bool {
        #[cfg(feature = "health")]
        if !self.inner.health.get().is_none_or(Health::is_ready) {
            return false;
        }
        self.is_turned_on() && !self.is_draining()
    }

    /// What [`set_ready`](Self::set_ready) has said.
    pub(crate) fn is_turned_on(&self) -> bool {
        self.inner.ready.load(Ordering::Relaxed)
    }

    /// The service is about to end: from now on it is not ready, for good, but all else goes on. Some seconds later, when
    /// load balancers have noticed, it can stop to let requests in; the last step is [`shutdown`](Self::shutdown). `Drain`
    /// (feature `health`) does these steps on SIGTERM.
    pub fn begin_draining(&self) {
        self.inner.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the service is about to end: [`begin_draining`](Self::begin_draining) or [`shutdown`](Self::shutdown) was
    /// called.
    pub fn is_draining(&self) -> bool {
        self.inner.leaving.load(Ordering::Relaxed) || *self.inner.draining.borrow()
    }

    /// Says whether the service takes requests, apart from its shutting down.
    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.store(ready, Ordering::Relaxed);
    }

    /// Resolves when [`shutdown`](Self::shutdown) has been called: for a listener's graceful shutdown.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut draining = self.inner.draining.subscribe();
        async move {
            // The sender is gone only when every handle is: then there is nothing left to serve.
            let _ = draining.wait_for(|draining| *draining).await;
        }
    }
}
