//! What can go wrong while health checks are set up.

use std::fmt;

use crate::RegistryError;

/// Why the checks could not be started. None of them runs then.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// A check's name cannot be one.
    #[error(
        "{name:?} cannot be the name of a health check: it is a label and on a page, so it has 1 to 64 letters, digits, \
         `_`, `-` or `.`"
    )]
    Name {
        /// The beginning of the name.
        name: String,
    },
    /// Two checks have one name, so that nobody could tell which one failed.
    #[error("two health checks are called `{name}`: give each a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// A setting of a check cannot be used.
    #[error("the health check `{name}` has {setting} 0: expected more than 0")]
    Zero {
        /// The check.
        name: String,
        /// What was set.
        setting: &'static str,
    },
    /// The monitoring has its checks already.
    #[error(
        "the health of this monitoring is started already: add all checks to one `Health::builder`, and call `start` once"
    )]
    AlreadyStarted,
    /// There is no runtime for the checks to run on.
    #[error(
        "health checks need a Tokio runtime with its timer enabled: call `start` inside one, such as #[tokio::main] makes"
    )]
    NoRuntime,
    /// The name of a metric is taken.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// A target that a check cannot ask.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a health check cannot ask that target: expected {expected}")]
pub struct InvalidTarget {
    /// What it may be. The target itself is not repeated: it may hold a password.
    pub expected: &'static str,
}

/// Makes `Debug` say what `Display` says, because a `main` that returns its error prints it with `Debug`.
macro_rules! debug_is_display {
    ($($error:ty),*) => {$(
        impl fmt::Debug for $error {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    )*};
}

debug_is_display!(HealthError, InvalidTarget);
