//! Reports: requested here, made in the background by [`report_job`], and downloaded here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::Session;
use crate::error::{ApiError, checked};
use crate::report_job;
use crate::store::{Report, ReportLine, ReportState};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/projects/{project}/reports", post(request))
        .route("/reports", get(list))
        .route("/reports/{report}/download", get(download))
}

async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Json<Vec<Report>>, ApiError> {
    let reports = app.listings.reports.get(app.store.reports(&session.tenant)).await?;
    Ok(Json(reports))
}

#[derive(Deserialize)]
struct NewReport {
    title: String,
}

async fn request(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(project): Path<i64>,
    Json(new): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>), ApiError> {
    let title = checked("report's title", &new.title)?;
    let report = app.store.queue_report(&session.tenant, &session.user, project, title).await?;
    let report = report.ok_or(ApiError::NotFound("project"))?;
    app.listings.reports.forget().await;
    report_job::start(&app, session, report.clone());
    Ok((StatusCode::ACCEPTED, Json(report)))
}

#[derive(Serialize)]
struct Document {
    report: Report,
    lines: Vec<ReportLine>,
}

/// Answers 202 while the report is being made.
async fn download(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(report): Path<i64>,
) -> Result<Response, ApiError> {
    let report = app.store.report(&session.tenant, report).await?.ok_or(ApiError::NotFound("report"))?;
    match report.state {
        ReportState::Queued => Ok((StatusCode::ACCEPTED, Json(report)).into_response()),
        ReportState::Failed => Err(ApiError::ReportFailed),
        ReportState::Ready => {
            let lines = app.store.report_lines(&session.tenant, report.id).await?;
            Ok(Json(Document { report, lines }).into_response())
        }
    }
}
