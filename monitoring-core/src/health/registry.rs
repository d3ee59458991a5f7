//! The health of a service.

use std::fmt;
use std::sync::Arc;

use super::builder::HealthBuilder;
use super::run::Watched;
use super::state::Status;
use crate::Monitoring;

/// What a service depends on, and how that is. A clone is another handle to the same.
///
/// Each dependency is checked in the background, at its own pace: however often `/readyz` is asked, the dependency is not
/// asked more often. [`Monitoring::is_ready`] is `false` until every [critical](super::CheckBuilder::critical) one has been
/// reached once, and while one of them is down.
///
/// ```
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::{DiskSpace, Health, TcpConnect};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?.to_string();
/// let monitoring = Monitoring::builder("billing").build()?;
/// let health = Health::builder(&monitoring)
///     .check("ledger", TcpConnect::new(&address)?).critical()
///     .check("disk", DiskSpace::of("/")).every(Duration::from_secs(60))
///     .start()?;
/// # while !monitoring.is_ready() { tokio::time::sleep(Duration::from_millis(1)).await; }
/// assert!(health.is_ready()); // once the ledger was reached
/// # assert!(monitoring.render().contains(r#"saas_dependency_up{dependency="ledger",critical="true"} 1"#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Health {
    watched: Arc<[Arc<Watched>]>,
}

impl Health {
    /// Begins to put together the checks of a service.
    pub fn builder(monitoring: &Monitoring) -> HealthBuilder {
        HealthBuilder::new(monitoring)
    }

    pub(super) fn new(watched: Arc<[Arc<Watched>]>) -> Self {
        Self { watched }
    }

    pub(super) fn watched(&self) -> &[Arc<Watched>] {
        &self.watched
    }

    /// Whether all critical dependencies can be used. The rest of readiness is known to [`Monitoring::is_ready`]. Costs a
    /// short lock for each of them.
    pub fn is_ready(&self) -> bool {
        self.watched.iter().filter(|watched| watched.settings().is_critical).all(|watched| {
            let state = watched.state();
            state.status(watched.settings()).is_usable()
        })
    }

    /// How the dependency of that name is; `None` if no check is called so.
    pub fn status(&self, name: &str) -> Option<Status> {
        let watched = self.watched.iter().find(|watched| watched.name() == name)?;
        let status = watched.state().status(watched.settings());
        Some(status)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.watched.iter().map(|watched| watched.name());
        formatter.debug_struct("Health").field("checks", &names.collect::<Vec<_>>()).finish()
    }
}
