//! The thread that keeps the outside recorder up to date: nobody scrapes us, so nothing else would run what is collected.

use std::convert::Infallible;
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::OutsideRecorder;
use crate::error::InstallError;
use crate::store::Registry;

/// From one beat to the next: no older is a gauge of a collector, and half of what a handle is kept for when it is idle.
const INTERVAL: Duration = Duration::from_secs(10);

/// The thread of one monitoring. It ends soon when this is stopped or dropped.
pub(crate) struct Beat {
    stop: Mutex<Option<Sender<Infallible>>>,
}

impl Beat {
    /// Starts the thread, and waits until it has looked for the global recorder.
    pub(crate) fn start(registry: &Registry, outside: &OutsideRecorder) -> Result<Self, InstallError> {
        let (stop, stopped) = mpsc::channel();
        let (looked, first_look) = mpsc::sync_channel::<Infallible>(0);
        let (registry, outside) = (registry.clone(), outside.clone());
        std::thread::Builder::new()
            .name("monitoring-beat".to_owned())
            .spawn(move || {
                outside.look();
                drop(looked);
                run(&registry, &outside, &stopped);
            })
            .map_err(|error| InstallError::BeatThread { reason: error.to_string() })?;
        // Nothing is ever sent: the sender is gone when the thread has looked, or has ended.
        let _ = first_look.recv();
        Ok(Self { stop: Mutex::new(Some(stop)) })
    }

    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn run(registry: &Registry, outside: &OutsideRecorder, stopped: &Receiver<Infallible>) {
    let mut is_warned = false;
    registry.hand_on_meanwhile();
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
        outside.look();
        registry.beat();
        if outside.is_missing() && !is_warned {
            tracing::warn!(
                "the `metrics` facade seems to have no recorder of the application: what is measured goes nowhere until it has"
            );
            is_warned = true;
        }
    }
}

impl fmt::Debug for Beat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Beat").finish_non_exhaustive()
    }
}
