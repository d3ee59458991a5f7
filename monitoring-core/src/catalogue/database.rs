//! Databases and caches, as their client sees them: SQL and Redis alike.

use super::{Descriptor, Stability, Unit};

const CONVENTION: &str = "OpenTelemetry semantic conventions 1.44.0, database client metrics";

/// The bounds that the database conventions advise, in seconds.
const OPERATION_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// How long operations took; over all tenants.
pub const DB_CLIENT_OPERATION_DURATION: Descriptor = Descriptor::histogram(
    "db.client.operation.duration",
    Unit::Seconds,
    OPERATION_SECONDS,
    "Duration of database operations, the wait for a connection left out.",
)
.labels(&["db.system.name", "db.operation.name", "db.collection.name", "error.type"])
.convention(Stability::Stable, CONVENTION);

/// The bounds that the database conventions advise, in rows.
const ROWS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// How many rows statements returned; over all tenants.
pub const DB_CLIENT_RESPONSE_RETURNED_ROWS: Descriptor = Descriptor::histogram(
    "db.client.response.returned_rows",
    Unit::Count("{row}"),
    ROWS,
    "Rows that a statement returned and that were asked for.",
)
.labels(&["db.system.name", "db.collection.name"])
.convention(Stability::Development, CONVENTION);

/// Statements that took longer than their threshold.
pub const SAAS_DB_SLOW_QUERIES: Descriptor = Descriptor::counter(
    "saas.db.slow_queries",
    Unit::Count("{query}"),
    "Statements of a tenant that took longer than the threshold of their operation.",
)
.labels(&["db.system.name", "db.query.summary"])
.per_tenant();

/// What was notified on the channels that were listened to.
pub const SAAS_DB_NOTIFICATIONS: Descriptor = Descriptor::counter(
    "saas.db.notifications",
    Unit::Count("{notification}"),
    "Notifications of the database that listeners have received.",
)
.labels(&["db.client.connection.pool.name"]);

/// Listeners that were cut off.
pub const SAAS_DB_LISTENER_DISCONNECTS: Descriptor = Descriptor::counter(
    "saas.db.listener.disconnects",
    Unit::Count("{disconnect}"),
    "Times that a listener was without a connection; what was notified meanwhile is lost to it.",
)
.labels(&["db.client.connection.pool.name"]);

/// The time that databases worked for a tenant.
pub const SAAS_TENANT_DB_TIME: Descriptor = Descriptor::counter(
    "saas.tenant.db.time",
    Unit::Seconds,
    "Time that a tenant's database operations took, summed over operations.",
)
.labels(&["db.system.name"])
.per_tenant();

/// How long transactions were open, and what became of them.
pub const SAAS_DB_TRANSACTION_DURATION: Descriptor = Descriptor::histogram(
    "saas.db.transaction.duration",
    Unit::Seconds,
    OPERATION_SECONDS,
    "Time that transactions were open, from the answer to BEGIN to their end.",
)
.labels(&["db.system.name", "outcome"]);

/// Connections of a pool by state.
pub const DB_CLIENT_CONNECTION_COUNT: Descriptor = Descriptor::up_down_counter(
    "db.client.connection.count",
    Unit::Count("{connection}"),
    "Open connections of a pool by state.",
)
.labels(&["db.client.connection.state", "db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);

/// How many connections a pool may open.
pub const DB_CLIENT_CONNECTION_MAX: Descriptor = Descriptor::up_down_counter(
    "db.client.connection.max",
    Unit::Count("{connection}"),
    "Connections that a pool may hold open.",
)
.labels(&["db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);

/// Who waits for a connection.
pub const DB_CLIENT_CONNECTION_PENDING_REQUESTS: Descriptor = Descriptor::up_down_counter(
    "db.client.connection.pending_requests",
    Unit::Count("{request}"),
    "Requests that wait for a connection of a pool.",
)
.labels(&["db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);

/// Waits that were given up.
pub const DB_CLIENT_CONNECTION_TIMEOUTS: Descriptor = Descriptor::counter(
    "db.client.connection.timeouts",
    Unit::Count("{timeout}"),
    "Waits for a connection that ended with the pool's time-out.",
)
.labels(&["db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);

/// How long the wait for a connection was.
pub const DB_CLIENT_CONNECTION_WAIT_TIME: Descriptor = Descriptor::histogram(
    "db.client.connection.wait_time",
    Unit::Seconds,
    OPERATION_SECONDS,
    "Time to get a connection from a pool.",
)
.labels(&["db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);

/// How long a connection was held.
pub const DB_CLIENT_CONNECTION_USE_TIME: Descriptor = Descriptor::histogram(
    "db.client.connection.use_time",
    Unit::Seconds,
    OPERATION_SECONDS,
    "Time between taking a connection from a pool and giving it back.",
)
.labels(&["db.client.connection.pool.name"])
.convention(Stability::Development, CONVENTION);
