//! How checks are put together and started.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::check::HealthCheck;
use super::error::HealthError;
use super::record::HealthInstruments;
use super::registry::Health;
use super::run::Watched;
use super::state::Settings;
use crate::{Instruments, Monitoring};

const MAX_NAME: usize = 64;

/// The checks of a service, made by [`Health::builder`].
#[must_use = "no check runs until `start`"]
pub struct HealthBuilder {
    monitoring: Monitoring,
    checks: Vec<Definition>,
}

struct Definition {
    name: String,
    check: Arc<dyn HealthCheck>,
    settings: Settings,
}

impl HealthBuilder {
    pub(super) fn new(monitoring: &Monitoring) -> Self {
        Self { monitoring: monitoring.clone(), checks: Vec::new() }
    }

    /// Adds a check. The name is the label `dependency`: letters, digits, `_`, `-` and `.`, at most 64 of them.
    pub fn check(self, name: impl Into<String>, check: impl HealthCheck) -> CheckBuilder {
        let settings = Settings {
            is_critical: false,
            every: Duration::from_secs(5),
            time_out: Duration::from_secs(1),
            down_after: 3,
        };
        let last = Definition { name: name.into(), check: Arc::new(check), settings };
        CheckBuilder { others: self, last }
    }

    /// Starts the checks, each on a task of its own, the first ones at once. They end with
    /// [`Monitoring::shutdown`], or when the monitoring is dropped.
    ///
    /// # Errors
    /// When a name cannot be one or is there twice, when a setting is zero, when the monitoring has its checks already,
    /// and outside of a Tokio runtime with its timer enabled.
    pub fn start(self) -> Result<Health, HealthError> {
        self.check_definitions()?;
        let runtime = Handle::try_current().map_err(|_outside| HealthError::NoRuntime)?;
        // Without a timer Tokio panics, and there is no other way to ask whether there is one.
        let timer = catch_unwind(AssertUnwindSafe(|| drop(tokio::time::sleep(Duration::ZERO))));
        timer.map_err(|_panic| HealthError::NoRuntime)?;

        let Self { monitoring, checks } = self;
        let instruments = Instruments::<HealthInstruments>::of(&monitoring)?;
        for Definition { check, .. } in &checks {
            check.started(&monitoring)?;
        }
        let watch = |Definition { name, check, settings }| {
            let name: Arc<str> = name.into();
            let labels = HealthInstruments::labels(monitoring.registry(), &name, settings.is_critical);
            Arc::new(Watched::new(name, check, settings, instruments.clone(), labels))
        };
        let watched: Arc<[_]> = checks.into_iter().map(watch).collect();
        let health = Health::new(watched);
        if monitoring.inner.health.set(health.clone()).is_err() {
            return Err(HealthError::AlreadyStarted);
        }
        for watched in health.watched() {
            runtime.spawn(monitoring.track(Arc::clone(watched).run(monitoring.draining())));
        }
        Ok(health)
    }

    fn check_definitions(&self) -> Result<(), HealthError> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
        for (index, Definition { name, settings, .. }) in self.checks.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
                return Err(HealthError::Name { name: name.chars().take(16).collect() });
            }
            if self.checks.iter().take(index).any(|other| other.name == *name) {
                return Err(HealthError::SameName { name: name.clone() });
            }
            let zero = |setting| Err(HealthError::Zero { name: name.clone(), setting });
            match settings {
                Settings { every: Duration::ZERO, .. } => return zero("`every`"),
                Settings { time_out: Duration::ZERO, .. } => return zero("`time_out`"),
                Settings { down_after: 0, .. } => return zero("`down_after`"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The options of the check that was added last, and the way to add another one.
#[must_use = "no check runs until `start`"]
pub struct CheckBuilder {
    others: HealthBuilder,
    last: Definition,
}

impl CheckBuilder {
    /// The service is not ready without this dependency. By default it is.
    ///
    /// Think twice before a dependency that all replicas share is critical: when it is down, **all of them** are taken out
    /// of service at once, and what could have been answered without it (from a cache, with an error that says what is
    /// wrong) is not answered at all. Critical is what a replica can lose alone, and what no request can do without.
    pub fn critical(mut self) -> Self {
        self.last.settings.is_critical = true;
        self
    }

    /// The pause between two checks. Default 5 seconds. However many ask whether the service is ready, the dependency is
    /// asked no more often.
    pub fn every(mut self, pause: Duration) -> Self {
        self.last.settings.every = pause;
        self
    }

    /// How long a check may take. Default 1 second.
    pub fn time_out(mut self, time_out: Duration) -> Self {
        self.last.settings.time_out = time_out;
        self
    }

    /// So many checks in a row have to fail until what was up counts as down. Default 3: with the other defaults a
    /// dependency that is gone takes a replica out after 10 to 18 seconds, and one lost packet does not. One check that
    /// passes makes it up again; what was never up is down at once.
    pub fn down_after(mut self, failures: u32) -> Self {
        self.last.settings.down_after = failures;
        self
    }

    /// Adds another check, as [`HealthBuilder::check`].
    pub fn check(self, name: impl Into<String>, check: impl HealthCheck) -> CheckBuilder {
        HealthBuilder::from(self).check(name, check)
    }

    /// Starts the checks, as [`HealthBuilder::start`].
    ///
    /// # Errors
    /// As [`HealthBuilder::start`].
    pub fn start(self) -> Result<Health, HealthError> {
        HealthBuilder::from(self).start()
    }
}

/// For checks that are added in a loop.
impl From<CheckBuilder> for HealthBuilder {
    fn from(CheckBuilder { mut others, last }: CheckBuilder) -> Self {
        others.checks.push(last);
        others
    }
}

impl fmt::Debug for HealthBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.checks.iter().map(|check| &check.name);
        formatter.debug_struct("HealthBuilder").field("checks", &names.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl fmt::Debug for CheckBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CheckBuilder").field("last", &self.last.name).finish_non_exhaustive()
    }
}
