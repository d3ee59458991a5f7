//! The table `projects`.

use serde::{Deserialize, Serialize};

use super::activity::RECORD_ACTIVITY;
use super::{PAGE, Store, now, on_either};

/// A project as its tenant sees it.
#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Project {
    pub(crate) id: i64,
    pub(crate) name: String,
    created_by: String,
    created_at: i64,
}

impl Store {
    /// The newest projects of a tenant.
    pub(crate) async fn projects(&self, tenant: &str) -> Result<Vec<Project>, sqlx::Error> {
        const STATEMENT: &str =
            "SELECT id, name, created_by, created_at FROM projects WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(PAGE).fetch_all(pool).await)
    }

    pub(crate) async fn project(&self, tenant: &str, id: i64) -> Result<Option<Project>, sqlx::Error> {
        const STATEMENT: &str =
            "SELECT id, name, created_by, created_at FROM projects WHERE tenant_id = $1 AND id = $2";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(id).fetch_optional(pool).await)
    }

    /// Adds a project, and that it was added to the activity.
    pub(crate) async fn create_project(&self, tenant: &str, user: &str, name: &str) -> Result<Project, sqlx::Error> {
        const STATEMENT: &str = "INSERT INTO projects (tenant_id, name, created_by, created_at) \
                                 VALUES ($1, $2, $3, $4) RETURNING id, name, created_by, created_at";
        on_either!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let project: Project = sqlx::query_as(STATEMENT)
                .bind(tenant)
                .bind(name)
                .bind(user)
                .bind(now())
                .fetch_one(&mut *transaction)
                .await?;
            sqlx::query(RECORD_ACTIVITY)
                .bind(tenant)
                .bind(project.id)
                .bind("project created")
                .bind(user)
                .bind(project.created_at)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(project)
        })
    }
}
