//! Projects.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Deserialize;

use crate::app::App;
use crate::auth::Session;
use crate::error::{ApiError, checked};
use crate::store::{Activity, Project};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/projects", get(list).post(create)).route("/projects/{project}", get(read))
}

async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Json<Vec<Project>>, ApiError> {
    let projects = app.listings.projects.get(app.store.projects(&session.tenant)).await?;
    Ok(Json(projects))
}

async fn read(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(project): Path<i64>,
) -> Result<Json<Project>, ApiError> {
    let project = app.store.project(&session.tenant, project).await?;
    Ok(Json(project.ok_or(ApiError::NotFound("project"))?))
}

#[derive(Deserialize)]
struct NewProject {
    name: String,
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Json(new): Json<NewProject>,
) -> Result<(StatusCode, Json<Project>), ApiError> {
    let name = checked("project's name", &new.name)?;
    let project = app.store.create_project(&session.tenant, &session.user, name).await?;
    app.listings.projects.forget().await;
    app.feeds.publish(&session.tenant, Activity::new(project.id, "project created", &session.user));
    Ok((StatusCode::CREATED, Json(project)))
}
