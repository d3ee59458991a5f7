//! What the log says of slow statements.

use monitoring_core::database::{ErrorType, System};
use tracing::Level;

use super::SlowQuery;
use crate::statement::Shape;

/// Where the events go: a filter such as `monitoring::slow_query=off` names it.
const TARGET: &str = "monitoring::slow_query";

pub(super) fn slow_query(query: &SlowQuery<'_>, pool: &str, suppressed: u64) {
    tracing::event!(
        name: "saas.db.slow_query",
        target: TARGET,
        Level::WARN,
        {
            db.system.name = query.system.as_str(),
            db.operation.name = query.statement.operation(),
            db.query.summary = query.summary(),
            db.query.text = query.shape.and_then(Shape::text),
            duration_seconds = query.took.as_secs_f64(),
            db.response.returned_rows = query.rows,
            error.type = query.error.map(ErrorType::as_str),
            saas.tenant.id = query.statements.tenant_id(query.tenant),
            db.client.connection.pool.name = pool,
            suppressed,
        },
        "slow statement"
    );
}

pub(super) fn plan(system: System, summary: &str, pool: &str, plan: &str) {
    tracing::event!(
        name: "saas.db.slow_query.plan",
        target: TARGET,
        Level::WARN,
        {
            db.system.name = system.as_str(),
            db.query.summary = summary,
            db.client.connection.pool.name = pool,
            plan,
        },
        "plan of a slow statement"
    );
}
