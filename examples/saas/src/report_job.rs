//! The background job that makes a report. It lives in this process alone: one that is killed leaves reports queued, and
//! they are requested again.

use std::sync::Arc;
use std::time::SystemTime;

use monitoring_core::{Tenant, job};

use crate::app::App;
use crate::auth::Session;
use crate::store::{Activity, Report};

/// Reports that are made at a time: the database is for the requests first.
pub(crate) const CONCURRENCY: usize = 4;

/// Makes the report after the request has been answered. The SQL and Redis that it takes still counts for the tenant who
/// asked for it, because it is the job's tenant.
pub(crate) fn start(app: &Arc<App>, session: Session, report: Report) {
    let (app, tenant, enqueued_at) = (Arc::clone(app), Tenant::current(), SystemTime::now());
    app.jobs.clone().spawn(async move {
        // The semaphore is never closed.
        let Ok(_place) = app.job_places.acquire().await else { return };
        let run = job::job("report").tenant(tenant).enqueued_at(enqueued_at).run(run(&app, &session, &report));
        if let Err(error) = run.await {
            tracing::warn!(report = report.id, %error, "a report could not be made");
        }
    });
}

async fn run(app: &App, session: &Session, report: &Report) -> Result<(), sqlx::Error> {
    let made = make(app, session, report).await;
    if made.is_err()
        && let Err(error) = app.store.fail_report(&session.tenant, report.id).await
    {
        tracing::warn!(report = report.id, %error, "that a report failed could not be written down: it stays queued");
    }
    // Recorded with the `metrics` facade, as any library may do it; it lands in the same /metrics.
    metrics::counter!("reports_generated_total", "outcome" => if made.is_ok() { "made" } else { "failed" })
        .increment(1);
    app.listings.reports.forget().await;
    made
}

async fn make(app: &App, session: &Session, report: &Report) -> Result<(), sqlx::Error> {
    let lines = app.store.count_activity(&session.tenant, report.project_id).await?;
    app.store.finish_report(&session.tenant, report, &lines).await?;
    app.feeds.publish(&session.tenant, Activity::new(report.project_id, "report made", &session.user));
    Ok(())
}
