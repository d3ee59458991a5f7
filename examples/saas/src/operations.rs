//! What operators and orchestrators are told: what the service depends on, and how much there is to do.

use std::time::Duration;

use monitoring_core::health::{Autoscale, DiskSpace, Health, HealthBuilder, TcpConnect};
use monitoring_core::job::{QueueMonitor, QueueState};

use crate::app::App;
use crate::startup::StartError;

/// Has the dependencies checked, behind `/readyz`, gives the autoscaler its signal, and has somebody look at the queue of
/// reports. Once for a monitoring.
///
/// Only the database is critical: without it no request can be answered. Without the cache all is slower, and without the
/// identity provider only nobody can sign in.
///
/// # Errors
/// When it was called before, or a metric's name is taken.
pub fn watch(app: &App) -> Result<(), StartError> {
    let checks = app.store.check(Health::builder(&app.monitoring), "database").critical();
    let checks = checks.check("identity", TcpConnect::new(app.identity_provider.address())?);
    let checks = checks.check("disk", DiskSpace::of(".")).every(Duration::from_secs(60));
    let mut checks = HealthBuilder::from(checks);
    if let Some(pool) = app.listings.pool() {
        checks = checks.check("redis", pool.clone()).into();
    }
    checks.start()?;
    Autoscale::of(&app.monitoring)?.in_flight();

    let store = app.store.clone();
    QueueMonitor::new("reports", move || {
        let store = store.clone();
        async move {
            let (depth, oldest) = store.waiting_reports().await?;
            Ok::<_, sqlx::Error>(QueueState { depth, oldest })
        }
    })
    .start(&app.monitoring)?;
    Ok(())
}
