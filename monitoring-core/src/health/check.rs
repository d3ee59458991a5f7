//! What a check is.

use std::pin::Pin;
use std::time::Duration;

use super::problem::Problem;
use crate::{Monitoring, RegistryError};

/// A check that runs.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<Passed, Problem>> + Send + 'a>>;

/// How a check passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passed {
    /// All is well.
    Well,
    /// The dependency can be used, but somebody should look at it: a certificate that ends soon. It counts as up.
    Degraded(Problem),
}

impl From<()> for Passed {
    fn from((): ()) -> Self {
        Self::Well
    }
}

/// Something that can be asked whether it is there. Pools, [`TcpConnect`](super::TcpConnect) and the other checks of this
/// module are such; so is every closure that gives a future of a `Result`:
///
/// ```
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::{Health, Reason};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("billing").build()?;
/// let health = Health::builder(&monitoring)
///     .check("search", || async {
///         let documents = tokio::fs::read_to_string("/proc/uptime").await?; // any error will do
///         if documents.is_empty() { Err(Reason::Unavailable.because("the index is empty")) } else { Ok(()) }
///     })
///     .start()?;
/// # Ok(()) }
/// ```
///
/// A check is run on a task of its own. It is aborted when its time is up, so it must be safe to drop at any `.await`.
pub trait HealthCheck: Send + Sync + 'static {
    /// Asks the dependency. After `time_out` the future is dropped; a check that can tell more than "no answer in time" has
    /// to find it out sooner.
    fn check(&self, time_out: Duration) -> Checking<'_>;

    /// Called once, when the health of `monitoring` is started: here a check registers metrics of its own.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    fn started(&self, monitoring: &Monitoring) -> Result<(), RegistryError> {
        let _ = monitoring;
        Ok(())
    }
}

impl<F, Fut, T, E> HealthCheck for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<Passed>,
    E: Into<Problem>,
{
    fn check(&self, _time_out: Duration) -> Checking<'_> {
        let answer = self();
        Box::pin(async { answer.await.map(Into::into).map_err(Into::into) })
    }
}
