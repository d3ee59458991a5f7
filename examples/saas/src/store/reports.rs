//! The tables `reports` and `report_lines`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::activity::RECORD_ACTIVITY;
use super::{PAGE, Store, now, on_either};

/// Tenant, report, state.
const SET_STATE: &str = "UPDATE reports SET state = $3 WHERE tenant_id = $1 AND id = $2";

/// A report as its tenant sees it.
#[derive(Debug, Clone, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Report {
    pub(crate) id: i64,
    pub(crate) project_id: i64,
    pub(crate) title: String,
    #[sqlx(try_from = "String")]
    pub(crate) state: ReportState,
    requested_by: String,
    requested_at: i64,
}

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReportState {
    Queued,
    Ready,
    Failed,
}

/// One figure of a report.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct ReportLine {
    label: String,
    amount: i64,
}

impl Store {
    /// The newest reports of a tenant.
    pub(crate) async fn reports(&self, tenant: &str) -> Result<Vec<Report>, sqlx::Error> {
        const STATEMENT: &str = "SELECT id, project_id, title, state, requested_by, requested_at FROM reports \
                                 WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(PAGE).fetch_all(pool).await)
    }

    pub(crate) async fn report(&self, tenant: &str, id: i64) -> Result<Option<Report>, sqlx::Error> {
        const STATEMENT: &str = "SELECT id, project_id, title, state, requested_by, requested_at FROM reports \
                                 WHERE tenant_id = $1 AND id = $2";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(id).fetch_optional(pool).await)
    }

    /// The figures of a report that is ready.
    pub(crate) async fn report_lines(&self, tenant: &str, report: i64) -> Result<Vec<ReportLine>, sqlx::Error> {
        const STATEMENT: &str = "SELECT label, amount FROM report_lines JOIN reports ON reports.id = report_id \
                                 WHERE tenant_id = $1 AND report_id = $2 ORDER BY label";
        on_either!(self, |pool| sqlx::query_as(STATEMENT).bind(tenant).bind(report).fetch_all(pool).await)
    }

    /// How many reports of all tenants are still to be made, and for how long the oldest of them has waited.
    pub(crate) async fn waiting_reports(&self) -> Result<(u64, Option<Duration>), sqlx::Error> {
        const STATEMENT: &str = "SELECT COUNT(*), MIN(requested_at) FROM reports WHERE state = $1";
        let (waiting, oldest): (i64, Option<i64>) = on_either!(self, |pool| {
            sqlx::query_as(STATEMENT).bind(ReportState::Queued.as_str()).fetch_one(pool).await?
        });
        let seconds = |since: i64| u64::try_from(now() - since).unwrap_or_default();
        Ok((u64::try_from(waiting).unwrap_or_default(), oldest.map(seconds).map(Duration::from_secs)))
    }

    /// Adds a report that is still to be made. `None` if the tenant has no such project.
    pub(crate) async fn queue_report(
        &self,
        tenant: &str,
        user: &str,
        project: i64,
        title: &str,
    ) -> Result<Option<Report>, sqlx::Error> {
        const STATEMENT: &str = "INSERT INTO reports (tenant_id, project_id, title, state, requested_by, requested_at) \
                                 SELECT tenant_id, id, $3, $4, $5, $6 FROM projects WHERE tenant_id = $1 AND id = $2 \
                                 RETURNING id, project_id, title, state, requested_by, requested_at";
        on_either!(self, |pool| {
            sqlx::query_as(STATEMENT)
                .bind(tenant)
                .bind(project)
                .bind(title)
                .bind(ReportState::Queued.as_str())
                .bind(user)
                .bind(now())
                .fetch_optional(pool)
                .await
        })
    }

    /// Writes down the figures of a report, which is ready then. `RowNotFound` if the tenant has no such report.
    pub(crate) async fn finish_report(
        &self,
        tenant: &str,
        report: &Report,
        lines: &[(String, i64)],
    ) -> Result<(), sqlx::Error> {
        const ADD_LINE: &str = "INSERT INTO report_lines (report_id, label, amount) \
                                SELECT id, $3, $4 FROM reports WHERE tenant_id = $1 AND id = $2";
        on_either!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let updated = sqlx::query(SET_STATE)
                .bind(tenant)
                .bind(report.id)
                .bind(ReportState::Ready.as_str())
                .execute(&mut *transaction)
                .await?;
            if updated.rows_affected() == 0 {
                return Err(sqlx::Error::RowNotFound);
            }
            for (label, amount) in lines {
                sqlx::query(ADD_LINE)
                    .bind(tenant)
                    .bind(report.id)
                    .bind(label)
                    .bind(amount)
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query(RECORD_ACTIVITY)
                .bind(tenant)
                .bind(report.project_id)
                .bind("report made")
                .bind(&report.requested_by)
                .bind(now())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        })
    }

    /// Writes down that a report could not be made. `RowNotFound` if the tenant has no such report.
    pub(crate) async fn fail_report(&self, tenant: &str, report: i64) -> Result<(), sqlx::Error> {
        on_either!(self, |pool| {
            let updated = sqlx::query(SET_STATE)
                .bind(tenant)
                .bind(report)
                .bind(ReportState::Failed.as_str())
                .execute(pool)
                .await?;
            if updated.rows_affected() == 0 { Err(sqlx::Error::RowNotFound) } else { Ok(()) }
        })
    }
}

impl ReportState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl TryFrom<String> for ReportState {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        [Self::Queued, Self::Ready, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("no state of a report: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use monitoring_core::Tier;

    use super::*;

    #[tokio::test]
    async fn no_tenant_reaches_the_report_of_another_nor_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("saas.db").display());
        let store = Store::connect(&database).await.unwrap();
        let tenants = ["acme", "globex"].map(|id| (id.to_owned(), Tier::Free));
        store.add_tenants(tenants.into_iter()).await.unwrap();
        let project = store.create_project("acme", "ada", "Moon base").await.unwrap();
        let report = store.queue_report("acme", "ada", project.id, "June").await.unwrap().unwrap();
        let lines = [("costs".to_owned(), 7)];
        let is_missing = |written| matches!(written, Err(sqlx::Error::RowNotFound));

        assert!(is_missing(store.finish_report("globex", &report, &lines).await));
        assert!(is_missing(store.fail_report("globex", report.id).await));
        assert_eq!(store.report("acme", report.id).await.unwrap().unwrap().state, ReportState::Queued);
        assert!(store.report_lines("acme", report.id).await.unwrap().is_empty());
        assert!(store.recent_activity("globex", PAGE).await.unwrap().is_empty());

        store.finish_report("acme", &report, &lines).await.unwrap();
        assert_eq!(store.report_lines("acme", report.id).await.unwrap().len(), 1);
        assert!(store.report_lines("globex", report.id).await.unwrap().is_empty());
        assert!(store.report("globex", report.id).await.unwrap().is_none());
        assert!(store.reports("globex").await.unwrap().is_empty());
    }
}
