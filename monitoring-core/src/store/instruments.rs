//! How an instrument finds the store that it records into.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Registry, RegistryError};
use crate::Monitoring;

/// What [`Monitoring::install`](crate::MonitoringBuilder::install) has set, once.
static GLOBAL: OnceLock<Monitoring> = OnceLock::new();

/// Sets the global monitoring; gives it back if there is one already.
pub(crate) fn install_global(monitoring: Monitoring) -> Result<(), Monitoring> {
    GLOBAL.set(monitoring)
}

impl Monitoring {
    /// What [`MonitoringBuilder::install`](crate::MonitoringBuilder::install) has set in this process.
    pub fn global() -> Option<&'static Self> {
        GLOBAL.get()
    }
}

/// The families of one instrument: a struct of [`Counter`](super::Counter)s and so on, which an instrument crate keeps
/// behind [`Instruments`].
pub trait InstrumentSet: Sized + Send + Sync + 'static {
    /// Registers the families.
    ///
    /// # Errors
    /// When a name is taken by a different metric.
    fn register(registry: &Registry) -> Result<Self, RegistryError>;
}

/// The families of an instrument, or nothing while no monitoring is installed: then the instrument is a no-op.
///
/// ```
/// use monitoring_core::{Counter, InstrumentSet, Instruments, Registry, RegistryError, catalogue};
///
/// struct Families {
///     failures: Counter<()>,
/// }
/// # const FAILURES: catalogue::Descriptor = catalogue::Descriptor::counter("example.failures", catalogue::Unit::Count("{failure}"), "Failures.");
///
/// impl InstrumentSet for Families {
///     fn register(registry: &Registry) -> Result<Self, RegistryError> {
///         Ok(Self { failures: registry.counter(&FAILURES)? })
///     }
/// }
///
/// let instruments = Instruments::<Families>::global();
/// if let Some(families) = instruments.get() {
///     families.failures.add((), 1); // Not reached: nothing is installed yet.
///     # unreachable!();
/// }
/// ```
pub struct Instruments<T> {
    /// Empty until the global monitoring is installed; `None` when it is switched off or the families clash.
    families: Arc<OnceLock<Option<T>>>,
}

impl<T: InstrumentSet> Instruments<T> {
    /// Bound to the global monitoring, from the moment it is installed.
    ///
    /// If a family clashes with one of that name, the instrument stays a no-op, and an error is logged once.
    pub fn global() -> Self {
        Self { families: Arc::default() }
    }

    /// Bound to `monitoring`, whether that is the global one or not.
    ///
    /// # Errors
    /// When a name is taken by a different metric.
    pub fn of(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        let families = if monitoring.is_enabled() { Some(T::register(monitoring.registry())?) } else { None };
        Ok(Self { families: Arc::new(OnceLock::from(families)) })
    }

    /// The families, if there are any to record into: one atomic load.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        match self.families.get() {
            Some(families) => families.as_ref(),
            None => self.bind(),
        }
    }

    #[cold]
    fn bind(&self) -> Option<&T> {
        let monitoring = GLOBAL.get()?;
        let register = || {
            if !monitoring.is_enabled() {
                return None;
            }
            T::register(monitoring.registry())
                .inspect_err(|error| tracing::error!(%error, "an instrument stays off"))
                .ok()
        };
        self.families.get_or_init(register).as_ref()
    }
}

impl<T> Clone for Instruments<T> {
    fn clone(&self) -> Self {
        Self { families: Arc::clone(&self.families) }
    }
}

impl<T> fmt::Debug for Instruments<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.families.get().is_some_and(Option::is_some);
        formatter.debug_struct("Instruments").field("bound", &bound).finish_non_exhaustive()
    }
}
