//! How late a runtime runs a task that another thread has woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

/// A task in a runtime that is woken now and then, and tells how long that took. It needs neither the runtime's timer
/// nor its I/O, and ends with the runtime.
#[derive(Debug, Default)]
pub(super) struct Probe {
    wake: Notify,
    /// Since when it is being woken.
    asked: Mutex<Option<Instant>>,
    is_closed: AtomicBool,
    has_ended: AtomicBool,
}

impl Probe {
    /// Spawns the task; `answer` is told each delay.
    pub(super) fn start(runtime: &Handle, answer: impl Fn(Duration) + Send + 'static) -> Arc<Self> {
        let probe = Arc::<Self>::default();
        runtime.spawn(run(Ending(Arc::clone(&probe)), answer));
        probe
    }

    /// Wakes the task, unless it has not yet come since the last time.
    pub(super) fn ask(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none() {
            *asked = Some(Instant::now());
            self.wake.notify_one();
        }
    }

    /// Whether the task is gone, and the runtime with it.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Ends the task.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

async fn run(ending: Ending, answer: impl Fn(Duration)) {
    let Ending(probe) = &ending;
    loop {
        probe.wake.notified().await;
        if probe.is_closed.load(Ordering::Acquire) {
            return;
        }
        let asked = probe.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(asked) = asked {
            answer(asked.elapsed());
        }
    }
}

/// Says that the task is gone, however it went: a runtime that shuts down drops its tasks.
struct Ending(Arc<Probe>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
    }
}
