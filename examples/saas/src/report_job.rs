//! The background job that makes a report. It lives in this process alone: one that is killed leaves reports queued, and
//! they are requested again.

use std::sync::Arc;

use monitoring_core::TenantFutureExt;

use crate::app::App;
use crate::auth::Session;
use crate::cache::Listing;
use crate::store::{Activity, Report};

/// Reports that are made at a time: the database is for the requests first.
pub(crate) const CONCURRENCY: usize = 4;

/// Makes the report after the request has been answered. The SQL and Redis that it takes still counts for the tenant who
/// asked for it, because the task takes the tenant along.
pub(crate) fn start(app: &Arc<App>, session: Session, report: Report) {
    let job = run(Arc::clone(app), session, report);
    app.jobs.spawn(job.in_current_tenant());
}

async fn run(app: Arc<App>, session: Session, report: Report) {
    // The semaphore is never closed.
    let Ok(_place) = app.job_places.acquire().await else { return };
    let outcome = match make(&app, &session, &report).await {
        Ok(()) => "made",
        Err(error) => {
            tracing::warn!(report = report.id, %error, "a report could not be made");
            if let Err(error) = app.store.fail_report(&session.tenant, report.id).await {
                tracing::warn!(report = report.id, %error, "nor could that be written down: it stays queued");
            }
            "failed"
        }
    };
    // Recorded with the `metrics` facade, as any library may do it; it lands in the same /metrics.
    metrics::counter!("reports_generated_total", "outcome" => outcome).increment(1);
    app.cache.forget(Listing::Reports, &session.tenant).await;
}

async fn make(app: &App, session: &Session, report: &Report) -> Result<(), sqlx::Error> {
    let lines = app.store.count_activity(&session.tenant, report.project_id).await?;
    app.store.finish_report(&session.tenant, report, &lines).await?;
    app.feeds.publish(&session.tenant, Activity::new(report.project_id, "report made", &session.user));
    Ok(())
}
