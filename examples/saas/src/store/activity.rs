//! The table `activity`: what was done in which project. Rows are added in the transaction of what they tell.

use serde::Serialize;

use super::{Store, on_either};

/// Tenant, project, action, actor, time.
pub(super) const RECORD_ACTIVITY: &str =
    "INSERT INTO activity (tenant_id, project_id, action, actor, at) VALUES ($1, $2, $3, $4, $5)";

/// Something that was done.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(crate) struct Activity {
    project_id: i64,
    action: String,
    actor: String,
}

impl Activity {
    pub(crate) fn new(project_id: i64, action: &str, actor: &str) -> Self {
        Self { project_id, action: action.to_owned(), actor: actor.to_owned() }
    }
}

impl Store {
    /// The newest activities of a tenant, the newest first.
    pub(crate) async fn recent_activity(&self, tenant: &str, count: i64) -> Result<Vec<Activity>, sqlx::Error> {
        const STATEMENT: &str =
            "SELECT project_id, action, actor FROM activity WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(count).fetch_all(pool).await)
    }

    /// How often each action was taken in a project.
    pub(crate) async fn count_activity(&self, tenant: &str, project: i64) -> Result<Vec<(String, i64)>, sqlx::Error> {
        const STATEMENT: &str = "SELECT action, COUNT(*) FROM activity WHERE tenant_id = $1 AND project_id = $2 \
                                 GROUP BY action ORDER BY action";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(project).fetch_all(pool).await)
    }
}
