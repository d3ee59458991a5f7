//! What can go wrong while setting up and shutting down. Nothing can while recording.

use std::time::Duration;

use crate::store::RegistryError;
use crate::tenant::{TenantIdError, TenantRegistryError};

/// A setting that cannot be used.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting's text cannot be read.
    #[error("{setting} is {found:?}: expected {expected}; correct it or unset it")]
    Unreadable {
        /// The environment variable.
        setting: &'static str,
        /// The beginning of its text.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A setting's value cannot be used. The value is not shown: it may be a secret.
    #[error("{setting} cannot be used: expected {expected}; correct it or unset it")]
    Invalid {
        /// The environment variable, also if the value was set in code; a path in code if there is none.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A setting asks for what this build does not have.
    #[error(
        "{setting} asks for `{found}`, which is not compiled in: enable the feature `{feature}` of monitoring-core"
    )]
    NotCompiled {
        /// The environment variable.
        setting: &'static str,
        /// What it asks for.
        found: &'static str,
        /// The feature that has it.
        feature: &'static str,
    },
}

/// Why the monitoring could not be installed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store could not be made.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What looks at the process and its runtime could not be started.
    #[cfg(feature = "runtime")]
    #[error(transparent)]
    Runtime(#[from] crate::runtime::ObserveError),
    /// A monitoring is installed in this process already; it keeps working.
    #[error("monitoring is installed already in this process: call `install` once, in `main`, and pass the handle on")]
    AlreadyInstalled,
    /// The application has a recorder of the `metrics` facade; it keeps working.
    #[cfg(feature = "metrics")]
    #[error(
        "the `metrics` facade has a recorder already: remove it, or call `MonitoringBuilder::metrics_facade(false)` \
         to leave the facade to it"
    )]
    RecorderTaken,
    /// What is recorded would go to the recorder of another monitoring of this process.
    #[cfg(feature = "metrics")]
    #[error(
        "the recorder of the `metrics` facade is that of an installed monitoring, not the application's: call \
         `metrics_facade(false)` on that one and install the application's recorder, or record into no other"
    )]
    RecorderIsOurs,
    /// The thread that keeps the application's recorder up to date could not be started.
    #[cfg(feature = "metrics")]
    #[error(
        "the thread that keeps the application's recorder up to date cannot be started ({reason}): raise the limit of \
         threads, or record into no other recorder"
    )]
    BeatThread {
        /// What the system says.
        reason: String,
    },
    /// The thread that pushes metrics could not be started.
    #[cfg(feature = "otlp")]
    #[error("the thread that pushes metrics cannot be started ({reason}): raise the limit of threads, or push nothing")]
    Thread {
        /// What the system says.
        reason: String,
    },
}

/// The monitoring did not come to rest in time.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} task(s) of the monitoring were still running after {deadline:?}")]
pub struct ShutdownError {
    /// How many were running.
    pub tasks: usize,
    /// How long they were waited for.
    pub deadline: Duration,
}

/// Makes `Debug` say what `Display` says, because a `main` that returns its error prints it with `Debug`: what was wrong and
/// what to do would be lost exactly there.
macro_rules! debug_is_display {
    ($($error:ty),*) => {$(
        impl std::fmt::Debug for $error {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, formatter)
            }
        }
    )*};
}

debug_is_display!(ConfigError, InstallError, ShutdownError, RegistryError, TenantIdError, TenantRegistryError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_its_error_shows_what_to_do() {
        let error: Box<dyn std::error::Error> = Box::new(InstallError::AlreadyInstalled);
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.to_string().contains("call `install` once"));
    }
}
