//! The Tokio runtimes of the process, and the thread that looks at them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::attached::{Attached, TokioFamilies};
use crate::{Registry, RegistryError};

/// From one look for workers that are stuck to the next: so long a stall takes at least.
pub(super) const BEAT: Duration = Duration::from_millis(100);

/// All runtimes that are looked at for one monitoring.
#[derive(Debug)]
pub(super) struct Runtimes {
    families: Arc<TokioFamilies>,
    attached: Mutex<AttachedRuntimes>,
}

#[derive(Debug, Default)]
struct AttachedRuntimes {
    list: Vec<Attached>,
    /// Whether the thread runs.
    is_watched: bool,
}

impl Runtimes {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self { families: Arc::new(TokioFamilies::register(registry)?), attached: Mutex::default() })
    }

    /// Looks at that runtime from now on, until it ends. One that is looked at already is not looked at twice.
    ///
    /// An error means that the thread could not be started.
    pub(super) fn attach(self: &Arc<Self>, registry: &Registry, runtime: &Handle) -> io::Result<()> {
        let mut attached = self.lock();
        if attached.list.iter().any(|attached| attached.id() == runtime.id() && !attached.has_ended()) {
            return Ok(());
        }
        if !attached.is_watched {
            let runtimes = Arc::downgrade(self);
            // A thread and no task: what it is to find is that tasks are not run.
            thread::Builder::new().name("monitoring-tokio".to_owned()).spawn(move || watch(&runtimes))?;
            attached.is_watched = true;
        }
        attached.list.push(Attached::start(Arc::clone(&self.families), registry, runtime));
        Ok(())
    }

    /// Tells what the runtimes say of themselves.
    pub(super) fn collect(&self) {
        for attached in &mut self.lock().list {
            attached.report();
        }
    }

    /// Whether there is anything to look at again.
    fn beat(&self, since: Duration) -> bool {
        let mut attached = self.lock();
        let ended: Vec<_> = attached.list.extract_if(.., |attached| attached.has_ended()).collect();
        for attached in &mut attached.list {
            attached.beat(since);
        }
        attached.is_watched = !attached.list.is_empty();
        let goes_on = attached.is_watched;
        drop(attached);
        // Outside of the lock: with the last handle goes all that the application gave to its runtime.
        drop(ended);
        goes_on
    }

    fn lock(&self) -> MutexGuard<'_, AttachedRuntimes> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Beats until there is no runtime left, or nobody to tell of one.
fn watch(runtimes: &Weak<Runtimes>) {
    let mut last = Instant::now();
    loop {
        thread::sleep(BEAT);
        let Some(runtimes) = runtimes.upgrade() else { return };
        let now = Instant::now();
        if !runtimes.beat(now.saturating_duration_since(last)) {
            return;
        }
        last = now;
    }
}
