//! Asking PostgreSQL for a plan.

use std::time::Duration;

use futures_core::future::BoxFuture;
use sqlx::{AssertSqlSafe, Postgres, Row as _, SqlStr};

use super::plan::Plan;

/// The plan of a statement, if there is an idle connection to ask on and the answer comes in time.
pub(crate) fn explain(
    pool: sqlx::Pool<Postgres>,
    statement: SqlStr,
    time_out: Duration,
) -> BoxFuture<'static, Option<String>> {
    Box::pin(async move {
        // Whoever waits for a connection comes first.
        let mut connection = pool.try_acquire()?;
        // The statement is the one that was executed already. As a prepared one, it cannot be more than one either.
        let text = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {}", statement.as_str()));
        let question = sqlx::query(text).persistent(false).fetch_one(&mut *connection);
        let Ok(answer) = tokio::time::timeout(time_out, question).await else {
            // The answer would be waited for by the next borrower.
            connection.close_on_drop();
            return None;
        };
        let plan = Plan::of_postgres(answer.ok()?.try_get_unchecked::<&str, _>(0).ok()?)?;
        Some(plan.to_string())
    })
}
