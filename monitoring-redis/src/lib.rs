//! Per-tenant Redis metrics for [deadpool-redis](deadpool_redis): a pool and connections that are used as its own.
//!
//! Every command and pipeline is measured: how long it took, how it ended, and for which tenant Redis worked.
//! `AsyncCommands`, `redis::cmd(…).query_async(&mut connection)`, `redis::pipe()` and its transactions stay as they are.
//!
//! # Quick start
//! ```
//! use monitoring_core::Monitoring;
//! use monitoring_redis::Pool;
//! use monitoring_redis::redis::{AsyncCommands, pipe};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = Monitoring::builder("shop").install()?;
//! let pool = Pool::from_url("redis://127.0.0.1:6379/0")?; // connects when first asked to
//!
//! async fn visit(pool: &Pool, page: &str) -> Result<u64, Box<dyn std::error::Error>> {
//!     let mut connection = pool.get().await?;
//!     let _: () = connection.sadd("pages", page).await?;
//!     let (visits,) = pipe().atomic().incr(page, 1).expire(page, 3600).ignore().query_async(&mut connection).await?;
//!     Ok(visits)
//! }
//!
//! # let _ = visit; // There may be no server where this page is tested.
//! let metrics = monitoring.render();
//! assert!(metrics.contains(r#"db_client_connection_count{db_client_connection_state="used",db_client_connection_pool_name="redis"} 0"#));
//! # Ok(()) }
//! ```
//!
//! After two visits for the tenant `acme`, its metrics hold:
//! ```text
//! db_client_operation_duration_seconds_count{db_system_name="redis",db_operation_name="SADD"} 2
//! db_client_operation_duration_seconds_count{db_system_name="redis",db_operation_name="MULTI"} 2
//! saas_tenant_db_time_seconds_total{tenant="acme",db_system_name="redis"} 0.000512
//! db_client_connection_count{db_client_connection_state="idle",db_client_connection_pool_name="redis"} 1
//! ```
//!
//! # What is recorded
//! | metric | kind | labels | what |
//! | --- | --- | --- | --- |
//! | `db_client_operation_duration_seconds` | histogram | `db_system_name`, `db_operation_name`, `error_type` | each command or pipeline once, over all tenants; the wait for a connection left out |
//! | `saas_tenant_db_time_seconds_total` | counter | `tenant`, `db_system_name` | the same time, summed for each tenant |
//! | `db_client_connection_count` | gauge | `…_state` (`idle`, `used`), `…_pool_name` | open connections, read from the pool at each scrape |
//! | `db_client_connection_max` | gauge | `…_pool_name` | connections the pool may open |
//! | `db_client_connection_pending_requests` | gauge | `…_pool_name` | who waits for a connection now |
//! | `db_client_connection_timeouts_total` | counter | `…_pool_name` | waits that ended with a time-out of the pool |
//! | `db_client_connection_wait_time_seconds` | histogram | `…_pool_name` | time to get a connection, when there was one at last: to wait for a free one, and to make a new one or to see that an idle one still works |
//! | `db_client_connection_use_time_seconds` | histogram | `…_pool_name` | time from taking a connection to giving it back |
//!
//! `…_state` and `…_pool_name` stand for `db_client_connection_state` and `db_client_connection_pool_name`.
//! `db_client_connection_create_time` is missing: deadpool tells when a connection has been made, but not when making it
//! began, so its time is a part of the wait.
//!
//! **`db_operation_name`** is the command in upper case, if it is one of Redis or of its modules, else `_OTHER`. A pipeline is
//! one operation, `PIPELINE`, and as a transaction `MULTI`. Who asks for a connection and gets none counts as one operation
//! `CONNECT` that failed, or was cancelled, with no time. Keys, values and error texts never become labels.
//!
//! **`error_type`** is absent when the operation succeeded, else a class of [`ErrorType`](monitoring_core::database::ErrorType):
//!
//! | what happened | `error_type` |
//! | --- | --- |
//! | the future was dropped, as by a time-out around it; Redis may have done the work | `cancelled` |
//! | no reply within the response time-out of the connection | `timeout` |
//! | nothing listens; the connection broke | `connection_refused`; `connection_lost` |
//! | `NOAUTH`, `WRONGPASS`; `NOPERM` | `authentication_failed`; `permission_denied` |
//! | `ERR`, `WRONGTYPE`, `EXECABORT`, `CROSSSLOT` | `invalid_request` |
//! | a watched key has changed, so that the transaction was not done; `BUSYKEY`, `BUSYGROUP` | `conflict` |
//! | `NOSCRIPT`, `NOGROUP` | `not_found` |
//! | `LOADING`, `BUSY`, `MASTERDOWN`, `CLUSTERDOWN`, `TRYAGAIN`, `MISCONF`, `NOREPLICAS` | `unavailable` |
//! | `OOM`, too many clients | `resource_exhausted` |
//! | `READONLY`; `MOVED`, `ASK` | `read_only`; `redirected` |
//! | no connection within the time-outs of the pool; the pool is closed | `pool_timeout`; `pool_closed` |
//! | anything else, such as the error code of a script | `_OTHER` |
//!
//! A pipeline has the class of its first error. A reply that is not of the Rust type that was asked for is a success: Redis
//! did its work.
//!
//! **`tenant`** is the one of the [scope](monitoring_core::Tenant::current) in which the operation is first polled; behind
//! `monitoring-axum` that is the request's. Work that is spawned takes it along by
//! [`in_current_tenant`](monitoring_core::TenantFutureExt::in_current_tenant).
//!
//! # What it costs
//! For an operation two readings of the clock, a search by halves in the list of commands, one look-up of its name and three
//! relaxed atomic additions; replies are looked through for errors, as the client itself does. Nothing is allocated and nothing
//! is awaited between the caller and the connection. To take a connection and give it back costs three readings of the clock,
//! six additions, and two counted references to what the pool shares. Until monitoring is installed, an operation costs an
//! atomic load, and a connection one of the references besides.
//!
//! # What is not measured
//! What goes past the wrapper, on purpose: [`Connection::into_inner`] (Pub/Sub) and [`Pool::as_deadpool`]. The pings with which
//! deadpool tries idle connections. Cluster and Sentinel pools are not wrapped yet.
//!
//! # The folder
//! ```text
//! builder.rs          server, name, options and monitoring of a pool
//! pool.rs             gives connections, and records who waits for one
//! connection.rs       sends commands and pipelines, each through record.rs
//! record.rs           what is measured of one request
//! operation_name.rs   what the request is called
//! error_type.rs       what kind of error it ended with
//! error.rs            what goes wrong with a pool itself
//! ```

mod builder;
mod connection;
mod error;
mod error_type;
mod operation_name;
mod pool;
mod record;

pub use builder::PoolBuilder;
pub use connection::{Connection, SharedConnection};
pub use deadpool_redis;
pub use deadpool_redis::redis;
pub use deadpool_redis::{Config, PoolConfig, Runtime, Status, TimeoutType, Timeouts};
pub use error::{PoolError, SetupError};
pub use pool::Pool;
