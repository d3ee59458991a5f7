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
.labels(&["db.system.name", "db.operation.name", "error.type"])
.convention(Stability::Stable, CONVENTION);

/// The time that databases worked for a tenant.
pub const SAAS_TENANT_DB_TIME: Descriptor = Descriptor::counter(
    "saas.tenant.db.time",
    Unit::Seconds,
    "Time that a tenant's database operations took, summed over operations.",
)
.labels(&["db.system.name"])
.per_tenant();

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
