//! A level that is looked at, in a family that is added to.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::{LabelSet, UpDownCounter};

/// What one source has added to an up-down counter: so that sources of the same name add up, and one that is gone takes
/// its part away.
#[derive(Debug, Default)]
pub(super) struct Level(AtomicI64);

impl Level {
    /// Adds what has changed since the last time. Who reports at the same time does no harm.
    pub(super) fn report<L: LabelSet>(&self, counter: &UpDownCounter<L>, labels: L, now: u64) {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        counter.add(labels, now.saturating_sub(self.0.swap(now, Ordering::Relaxed)));
    }
}
