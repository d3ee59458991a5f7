//! Readiness with its reasons, for operators.

use std::time::{Duration, SystemTime};

use super::problem::Problem;
use super::run::Watched;
use super::state::Status;
use crate::Monitoring;

/// Whether a service takes requests, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// It takes requests.
    Ready,
    /// It is about to end.
    Draining,
    /// The application has said so, by [`Monitoring::set_ready`].
    TurnedOff,
    /// The first check of a critical dependency has not ended.
    Starting,
    /// A critical dependency is down, or its check does not get to run.
    DependencyDown,
}

impl Readiness {
    /// The word, such as `dependency_down`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::TurnedOff => "turned_off",
            Self::Starting => "starting",
            Self::DependencyDown => "dependency_down",
        }
    }
}

/// The health of a service at one moment: for operators, since it names what the service depends on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthReport {
    /// Whether it takes requests.
    pub readiness: Readiness,
    /// Its dependencies, in the order in which they were added.
    pub checks: Vec<CheckReport>,
}

/// How a dependency is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// The check's name.
    pub name: String,
    /// How the dependency is.
    pub status: Status,
    /// Whether the service is not ready without it.
    pub is_critical: bool,
    /// When a check last found something else than the one before it; `None` before the first one has ended.
    pub since: Option<SystemTime>,
    /// What is wrong by the last check.
    pub problem: Option<Problem>,
    /// How many checks in a row have failed.
    pub failures: u32,
    /// What was wrong when it failed last, and when, even if it is up again.
    pub last_failure: Option<(Problem, SystemTime)>,
    /// How long the last check took.
    pub duration: Option<Duration>,
    /// How long ago it ended.
    pub age: Option<Duration>,
}

impl CheckReport {
    fn of(watched: &Watched) -> Self {
        let state = watched.state();
        Self {
            name: watched.name().to_owned(),
            status: state.status(watched.settings()),
            is_critical: watched.settings().is_critical,
            since: state.since(),
            problem: state.problem().cloned(),
            failures: state.failures(),
            last_failure: state.last_failure().cloned(),
            duration: state.duration(),
            age: state.age(),
        }
    }

    /// Whether it was never reached.
    fn is_yet_to_come(&self) -> bool {
        self.status == Status::Unknown
    }
}

impl Monitoring {
    /// Whether the service takes requests, why not, and how everything is that it depends on. It asks no dependency: it
    /// shows what the last checks have found.
    ///
    /// ```
    /// use monitoring_core::Monitoring;
    /// use monitoring_core::health::Readiness;
    ///
    /// let monitoring = Monitoring::builder("billing").build()?;
    /// monitoring.set_ready(false);
    /// assert_eq!(monitoring.health_report().readiness, Readiness::TurnedOff);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health_report(&self) -> HealthReport {
        let watched = self.inner.health.get().map(super::Health::watched).unwrap_or_default();
        let checks: Vec<_> = watched.iter().map(|watched| CheckReport::of(watched)).collect();
        let mut in_the_way = checks.iter().filter(|check| check.is_critical && !check.status.is_usable());
        let readiness = if self.is_draining() {
            Readiness::Draining
        } else if !self.is_turned_on() {
            Readiness::TurnedOff
        } else {
            match in_the_way.next() {
                None => Readiness::Ready,
                Some(first) if first.is_yet_to_come() && in_the_way.all(CheckReport::is_yet_to_come) => {
                    Readiness::Starting
                }
                Some(_) => Readiness::DependencyDown,
            }
        };
        HealthReport { readiness, checks }
    }
}
