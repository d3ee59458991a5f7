//! One worker of a runtime: how long it was busy, and whether it is stuck.

use std::time::Duration;

use tokio::runtime::{RuntimeFlavor, RuntimeMetrics};

/// What a worker was seen to have done, each time that it was looked at.
#[derive(Debug)]
pub(super) struct Worker {
    flavor: RuntimeFlavor,
    /// The busy time that is told already.
    told: Duration,
    /// At the last look for stalls.
    seen: Option<Progress>,
    is_stalled: bool,
}

/// What changes each time that a worker looks at timers and sockets, which it does when it has nothing left to run, and
/// after every 61 tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Counts its going to sleep and its waking: odd while it sleeps.
    parked_and_unparked: u64,
    busy: Duration,
}

impl Progress {
    fn is_asleep(self) -> bool {
        self.parked_and_unparked % 2 == 1
    }

    /// Whether nobody may have run it yet. A thread of its own runs a worker from the start; the one of a runtime without
    /// threads waits for somebody's `block_on`.
    fn is_unborn(self, flavor: &RuntimeFlavor) -> bool {
        *flavor == RuntimeFlavor::CurrentThread && self == Self { parked_and_unparked: 0, busy: Duration::ZERO }
    }
}

/// What a look at a worker has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It sleeps, or comes round.
    Alive,
    /// It has not come round since the last look.
    Stalled {
        /// It had come round until then.
        is_new: bool,
    },
}

impl Worker {
    /// A worker of a runtime of that flavor.
    pub(super) fn of(flavor: RuntimeFlavor) -> Self {
        Self { flavor, told: Duration::ZERO, seen: None, is_stalled: false }
    }

    /// The busy time since this was asked for last.
    pub(super) fn busy_since(&mut self, metrics: &RuntimeMetrics, number: usize) -> Duration {
        let busy = metrics.worker_total_busy_duration(number);
        let since = busy.saturating_sub(self.told);
        self.told += since;
        since
    }

    /// Looks whether it has come round since the last look.
    pub(super) fn look(&mut self, metrics: &RuntimeMetrics, number: usize) -> Look {
        self.find(Progress {
            parked_and_unparked: metrics.worker_park_unpark_count(number),
            busy: metrics.worker_total_busy_duration(number),
        })
    }

    fn find(&mut self, now: Progress) -> Look {
        let before = self.seen.replace(now);
        if now.is_asleep() || now.is_unborn(&self.flavor) || before != Some(now) {
            self.is_stalled = false;
            return Look::Alive;
        }
        Look::Stalled { is_new: !std::mem::replace(&mut self.is_stalled, true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(parked_and_unparked: u64, busy: u64) -> Progress {
        Progress { parked_and_unparked, busy: Duration::from_millis(busy) }
    }

    #[test]
    fn a_worker_is_stuck_when_it_is_awake_and_twice_the_same() {
        let mut worker = Worker::of(RuntimeFlavor::MultiThread);
        for (parked_and_unparked, busy, expected) in [
            (2, 10, Look::Alive),
            (2, 10, Look::Stalled { is_new: true }),
            (2, 10, Look::Stalled { is_new: false }),
            // It has looked at timers and sockets, and gone on.
            (2, 300, Look::Alive),
            (2, 300, Look::Stalled { is_new: true }),
            // It slept, and is awake again.
            (4, 320, Look::Alive),
        ] {
            assert_eq!(worker.find(progress(parked_and_unparked, busy)), expected);
        }
    }

    #[test]
    fn a_worker_that_sleeps_or_that_nobody_runs_is_not_stuck() {
        let mut worker = Worker::of(RuntimeFlavor::MultiThread);
        for _look in 0..3 {
            assert_eq!(worker.find(progress(7, 10)), Look::Alive);
        }
        let mut worker = Worker::of(RuntimeFlavor::CurrentThread);
        for _look in 0..3 {
            assert_eq!(worker.find(progress(0, 0)), Look::Alive);
        }
    }

    #[test]
    fn a_worker_with_a_thread_of_its_own_can_be_stuck_in_its_very_first_task() {
        let mut worker = Worker::of(RuntimeFlavor::MultiThread);
        assert_eq!(worker.find(progress(0, 0)), Look::Alive);
        assert_eq!(worker.find(progress(0, 0)), Look::Stalled { is_new: true });
    }
}
