//! How content the one who waited is, by the Application Performance Index.

use std::time::Duration;

use monitoring_core::{LabelSet, LabelValue};

use crate::labels::Outcome;

/// Labels of `saas.tenant.apdex.requests`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ApdexLabels {
    pub(crate) apdex: Apdex,
}

/// Where a request lies between the threshold T and four times T, the bounds of the Apdex specification 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Apdex {
    /// At most T.
    Satisfied,
    /// More, but at most four times T.
    Tolerating,
    /// More than that, or the server failed, or the client gave up after T.
    Frustrated,
}

impl Apdex {
    /// `None` for what was given up before the threshold: nobody was kept waiting.
    pub(crate) fn of(outcome: Outcome, elapsed: Duration, threshold: Duration) -> Option<Self> {
        let is_slow = elapsed > threshold;
        match outcome {
            Outcome::ServerError => Some(Self::Frustrated),
            Outcome::Cancelled => is_slow.then_some(Self::Frustrated),
            Outcome::Ok | Outcome::ClientError if !is_slow => Some(Self::Satisfied),
            Outcome::Ok | Outcome::ClientError if elapsed <= threshold.saturating_mul(4) => Some(Self::Tolerating),
            Outcome::Ok | Outcome::ClientError => Some(Self::Frustrated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_belong_to_the_better_class() {
        let of = |outcome, elapsed| Apdex::of(outcome, Duration::from_millis(elapsed), Duration::from_millis(100));
        for outcome in [Outcome::Ok, Outcome::ClientError] {
            assert_eq!(of(outcome, 100), Some(Apdex::Satisfied));
            assert_eq!(of(outcome, 101), Some(Apdex::Tolerating));
            assert_eq!(of(outcome, 400), Some(Apdex::Tolerating));
            assert_eq!(of(outcome, 401), Some(Apdex::Frustrated));
        }
        assert_eq!(of(Outcome::ServerError, 1), Some(Apdex::Frustrated));
        assert_eq!(of(Outcome::Cancelled, 100), None);
        assert_eq!(of(Outcome::Cancelled, 101), Some(Apdex::Frustrated));
        assert_eq!(Apdex::of(Outcome::Ok, Duration::MAX, Duration::MAX), Some(Apdex::Satisfied));
    }
}
