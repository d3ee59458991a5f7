//! What became of every point.

use std::sync::{Mutex, MutexGuard, PoisonError};

use monitoring_macros::LabelSet;

use crate::catalogue::MONITORING_EXPORT_FAILURES;
use crate::dropped::{DropReason, Dropped, Signal};
use crate::store::{Counter, InstrumentSet, Registry, RegistryError};

/// What became of the points that were pushed, in points. `produced` is always the sum of the others.
///
/// An export that is given up, or that the shutdown's deadline cuts short, leaves the rest of the store unread: that is
/// counted nowhere here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpStatus {
    /// Read from the store for a request.
    pub produced: u64,
    /// Accepted by the collector.
    pub sent: u64,
    /// Given up: refused, rejected, or not sent in time. In cumulative form the next export says the same and more, and so
    /// does the next delta; only deltas that the collector rejected within a request that it took are gone.
    pub dropped: u64,
    /// Given up after a request without a valid answer, in any of its tries: the collector may have them, and the next delta
    /// says them once more.
    pub unanswered: u64,
    /// In requests that are made or under way.
    pub queued: u64,
}

/// Keeps the [`OtlpStatus`], and the metrics about it.
pub(super) struct Account {
    status: Mutex<OtlpStatus>,
    dropped: Dropped,
    failures: Counter<FailureLabels>,
}

#[derive(Clone, Copy, LabelSet)]
struct FailureLabels {
    signal: Signal,
}

impl Account {
    pub(super) fn new(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            status: Mutex::default(),
            dropped: Dropped::register(registry)?,
            failures: registry.counter(&MONITORING_EXPORT_FAILURES)?,
        })
    }

    pub(super) fn status(&self) -> OtlpStatus {
        *self.lock()
    }

    /// So many points wait to be sent.
    pub(super) fn produce(&self, points: u64) {
        let mut status = self.lock();
        status.produced += points;
        status.queued += points;
    }

    /// The collector has accepted a request of so many points, but for the `rejected` ones.
    pub(super) fn accept(&self, points: u64, rejected: u64) {
        let rejected = rejected.min(points);
        let mut status = self.lock();
        status.queued -= points;
        status.sent += points - rejected;
        status.dropped += rejected;
        drop(status);
        if rejected > 0 {
            self.dropped.count(Signal::Metrics, DropReason::CollectorRejected, rejected);
        }
    }

    /// A request of so many points was given up.
    pub(super) fn give_up(&self, points: u64, reason: DropReason) {
        let mut status = self.lock();
        status.queued -= points;
        match reason {
            DropReason::Unanswered => status.unanswered += points,
            _ => status.dropped += points,
        }
        drop(status);
        self.dropped.count(Signal::Metrics, reason, points);
    }

    /// A request failed, be it tried again or not.
    pub(super) fn fail(&self) {
        self.failures.add(FailureLabels { signal: Signal::Metrics }, 1);
    }

    fn lock(&self) -> MutexGuard<'_, OtlpStatus> {
        // Nothing panics while it is held.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
