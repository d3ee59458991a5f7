//! Why a process or a runtime cannot be looked at.

use std::fmt;
use std::io;

use crate::RegistryError;

/// Why a process or a runtime cannot be looked at.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The name of a metric is taken by a different one.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The monitoring looks at the process already.
    #[error(
        "this monitoring looks at its process already: `install` does so, and is told what else to look at by \
         `MonitoringBuilder::runtime`"
    )]
    AlreadyObserved,
    /// A thread could not be started.
    #[error(
        "the thread that looks at the runtime or at a disk cannot be started ({reason}): raise the limit of threads"
    )]
    Thread {
        /// What the system says.
        reason: String,
    },
}

impl ObserveError {
    pub(super) fn thread(error: &io::Error) -> Self {
        Self::Thread { reason: error.to_string() }
    }
}

/// What `Display` says: a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for ObserveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
