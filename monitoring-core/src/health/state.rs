//! What is known of one dependency.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::check::Passed;
use super::problem::Problem;

/// How a dependency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Its first check has not ended.
    Unknown,
    /// The last check passed.
    Up,
    /// The last check passed, but somebody should look at it.
    Degraded,
    /// The last check failed, the ones before it did not: too few failures to draw a conclusion.
    Failing,
    /// So many checks in a row failed as make it count as down.
    Down,
    /// The last result is so old that it says nothing any more: the runtime that should check does not get to it.
    Stale,
}

impl Status {
    /// The word, such as `up`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
            Self::Down => "down",
            Self::Stale => "stale",
        }
    }

    /// Whether a service can work that cannot do without this dependency.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Failing)
    }
}

/// How a dependency is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) is_critical: bool,
    pub(super) every: Duration,
    pub(super) time_out: Duration,
    pub(super) down_after: u32,
}

impl Settings {
    /// Three checks should have been made in that time.
    fn stale_after(&self) -> Duration {
        self.every.saturating_mul(3).saturating_add(self.time_out)
    }
}

/// What the checks so far have found.
#[derive(Debug, Default)]
pub(super) struct State {
    last: Option<Last>,
    failures: u32,
    has_passed: bool,
    last_failure: Option<(Problem, SystemTime)>,
    /// What was said last, and since when.
    said: Option<(Status, SystemTime)>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    duration: Duration,
    result: Result<Passed, Problem>,
}

impl State {
    /// A check has ended like that; gives what that makes of the dependency, and what it was before.
    pub(super) fn ended(
        &mut self,
        result: Result<Passed, Problem>,
        duration: Duration,
        settings: &Settings,
    ) -> (Status, Status) {
        match &result {
            Ok(_) => (self.failures, self.has_passed) = (0, true),
            Err(problem) => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some((problem.clone(), SystemTime::now()));
            }
        }
        self.last = Some(Last { at: Instant::now(), duration, result });
        let status = self.status(settings);
        let before = self.said.map_or(Status::Unknown, |(status, _since)| status);
        if self.said.is_none() || before != status {
            self.said = Some((status, SystemTime::now()));
        }
        (status, before)
    }

    pub(super) fn status(&self, settings: &Settings) -> Status {
        let Some(last) = &self.last else { return Status::Unknown };
        match &last.result {
            _ if last.at.elapsed() > settings.stale_after() => Status::Stale,
            Ok(Passed::Well) => Status::Up,
            Ok(Passed::Degraded(_)) => Status::Degraded,
            // A service that has never reached it must not begin.
            Err(_) if self.has_passed && self.failures < settings.down_after => Status::Failing,
            Err(_) => Status::Down,
        }
    }

    /// What is wrong, by the last check.
    pub(super) fn problem(&self) -> Option<&Problem> {
        match &self.last.as_ref()?.result {
            Ok(Passed::Well) => None,
            Ok(Passed::Degraded(problem)) | Err(problem) => Some(problem),
        }
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.duration)
    }

    pub(super) fn age(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.at.elapsed())
    }

    /// When a check last found something else than the one before it.
    pub(super) fn since(&self) -> Option<SystemTime> {
        self.said.map(|(_status, since)| since)
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn last_failure(&self) -> Option<&(Problem, SystemTime)> {
        self.last_failure.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Reason;
    use super::*;

    const SETTINGS: Settings =
        Settings { is_critical: true, every: Duration::from_secs(5), time_out: Duration::from_secs(1), down_after: 3 };

    fn failed(state: &mut State) -> Status {
        state.ended(Err(Reason::Timeout.into()), Duration::ZERO, &SETTINGS).0
    }

    fn passed(state: &mut State) -> Status {
        state.ended(Ok(Passed::Well), Duration::ZERO, &SETTINGS).0
    }

    #[test]
    fn what_was_up_is_down_after_so_many_failures_in_a_row() {
        let mut state = State::default();
        assert_eq!(state.status(&SETTINGS), Status::Unknown);
        assert_eq!(passed(&mut state), Status::Up);
        assert_eq!([(); 3].map(|()| failed(&mut state)), [Status::Failing, Status::Failing, Status::Down]);
        assert_eq!(state.failures(), 3);
        assert_eq!(passed(&mut state), Status::Up);
        assert_eq!(failed(&mut state), Status::Failing);
        assert_eq!(state.problem().map(Problem::reason), Some(Reason::Timeout));
    }

    #[test]
    fn what_was_never_up_is_down_at_once() {
        assert_eq!(failed(&mut State::default()), Status::Down);
    }

    #[test]
    fn a_degraded_dependency_can_be_used_and_says_why() {
        let mut state = State::default();
        let degraded = Passed::Degraded(Reason::LowSpace.into());
        assert_eq!(state.ended(Ok(degraded), Duration::ZERO, &SETTINGS), (Status::Degraded, Status::Unknown));
        assert!(state.status(&SETTINGS).is_usable());
        assert_eq!(state.problem().map(Problem::reason), Some(Reason::LowSpace));
        assert_eq!(state.last_failure(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_result_says_nothing() {
        let mut state = State::default();
        passed(&mut state);
        tokio::time::advance(Duration::from_secs(16)).await;
        assert_eq!(state.status(&SETTINGS), Status::Up);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(state.status(&SETTINGS), Status::Stale);
        assert_eq!(passed(&mut state), Status::Up);
    }
}
