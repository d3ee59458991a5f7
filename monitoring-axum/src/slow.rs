//! One log line for a request that took too long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::threshold::Threshold;

/// Lines that a layer writes in a second; what is slow is often slow many times.
const LINES_PER_SECOND: u32 = 10;

/// Which requests are slow, and how many of them were logged of late.
#[derive(Debug)]
pub(crate) struct SlowRequests {
    threshold: Threshold,
    started: Instant,
    /// The second that is counted, and the lines in it: 32 bits each.
    window: AtomicU64,
    /// Lines that were left out since the last one.
    suppressed: AtomicU64,
}

/// What a line says: nothing that a client has sent.
pub(crate) struct SlowRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) duration: Duration,
    pub(crate) time_to_head: Option<Duration>,
}

impl SlowRequests {
    pub(crate) fn new(threshold: Threshold) -> Self {
        Self { threshold, started: Instant::now(), window: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Whether a request to that route is slow.
    pub(crate) fn is_slow(&self, template: &str, duration: Duration) -> bool {
        self.threshold.of(template).is_some_and(|threshold| duration >= threshold)
    }

    /// Logs it, or counts that it was not logged.
    pub(crate) fn log(&self, request: &SlowRequest<'_>) {
        let second = self.started.elapsed().as_secs() as u32;
        if !self.admits(second) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        tracing::warn!(
            target: "monitoring::slow_request",
            method = request.method,
            route = request.route,
            status = request.status,
            outcome = request.outcome,
            tenant = request.tenant,
            duration_seconds = request.duration.as_secs_f64(),
            time_to_head_seconds = request.time_to_head.map(|time| time.as_secs_f64()),
            suppressed,
            "slow request"
        );
    }

    /// Whether there may be another line in that second.
    fn admits(&self, second: u32) -> bool {
        let next = |window: u64| {
            let lines = if (window >> 32) as u32 == second { window as u32 } else { 0 };
            (lines < LINES_PER_SECOND).then(|| u64::from(second) << 32 | u64::from(lines + 1))
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_are_admitted() {
        let slow = SlowRequests::new(Threshold::Everywhere(Duration::ZERO));
        for second in [0, 1, 7] {
            let admitted = (0..100).filter(|_| slow.admits(second)).count();
            assert_eq!(admitted, LINES_PER_SECOND as usize);
        }
    }
}
