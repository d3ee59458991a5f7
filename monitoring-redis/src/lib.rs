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
//! | `saas_db_connections_created_total` | counter | `…_pool_name` | connections that were made, at first or because one was lost |
//! | `saas_cache_requests_total` | counter | `tenant`, `cache`, `result` | values that were asked for by key: `hit`, `miss` or `error` |
//! | `saas_pubsub_messages_total` | counter | `subscriber` | messages that a [`Subscriber`] has received |
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
//! **`cache`** is the name of a `Cache`, which counts what it is asked for; or else that of the pool, for the replies to `GET`,
//! `GETDEL`, `GETEX`, `HGET`, `MGET` and `HMGET` on its connections: one request for each value, a miss where the reply is nil.
//! Nothing is counted twice, and pipelines are not looked into. [`PoolBuilder::without_hits`] is for a pool that is no cache.
//!
//! **`tenant`** is the one of the [scope](monitoring_core::Tenant::current) in which the operation is first polled; behind
//! `monitoring-axum` that is the request's. Work that is spawned takes it along by
//! [`in_current_tenant`](monitoring_core::TenantFutureExt::in_current_tenant).
//!
//! # What it costs
//! For an operation two readings of the clock, a search by halves in the list of commands, one look-up of its name and three
//! relaxed atomic additions; with `GET` and its like, one addition more. Replies are looked through for errors, as the client
//! itself does. Nothing is allocated and nothing is awaited between the caller and the connection; [`Measured`] and the
//! connections of a cluster box one future more than the client does. To take a connection and give it back costs three readings of the clock,
//! six additions, and two counted references to what the pool shares. Until monitoring is installed, an operation costs an
//! atomic load, and a connection one of the references besides.
//!
//! # Clusters, Sentinel, and connections of your own
//! `ClusterPool::cluster` (feature `cluster`) and `SentinelPool::sentinel` (feature `sentinel`) make pools that are used and
//! measured as [`Pool`], which is generic over its [`Topology`]. The client of a cluster follows `MOVED` and `ASK` itself, within
//! the one operation; `redirected` is seen where they come to the caller. Any other connection, such as the client's
//! `ConnectionManager`, is measured by [`Measured`].
//!
//! # A cache
//! `Cache` (feature `cache`) keeps values of a type as JSON, apart for each tenant: `get_or_compute` computes a value once for all
//! who ask for it in this process at the same time, and never fails because of Redis. A value under the wrong tenant is not
//! used, and counted in `saas_tenant_isolation_violations_total` with `layer="cache"`.
//!
//! # Features
//! - `cache`: `Cache`; adds `serde_json` and `rand`.
//! - `cluster`, `sentinel`: the pools of those names.
//! - `health`: a pool is a check of `monitoring_core::health`.
//!
//! # What is not measured
//! What goes past the wrapper, on purpose: [`Connection::into_inner`] and [`Pool::as_deadpool`]. The pings with which deadpool
//! tries idle connections, and what a client sends to set one up. Connections that a pool made which was
//! [built elsewhere](PoolBuilder::wrap) are not counted as made.
//!
//! # The folder
//! ```text
//! builder.rs          server, name, options and monitoring of a pool
//! topology/           one server, a cluster, or the server that Sentinel names
//! pool.rs             gives connections, and records who waits for one
//! connection.rs       sends commands and pipelines, each through record.rs
//! measured.rs         does so on any connection, without a pool
//! transport.rs        how a request gets onto a connection
//! record.rs           what is measured of one request
//! operation_name.rs   what the request is called
//! error_type.rs       what kind of error it ended with
//! hits.rs             whether it found what it asked for
//! instruments.rs      the metrics that only Redis has
//! cache/              values by key, apart for each tenant
//! subscriber.rs       messages of channels
//! health.rs           whether the server answers
//! error.rs            what goes wrong with a pool itself
//! ```

mod builder;
#[cfg(feature = "cache")]
mod cache;
mod connection;
mod error;
mod error_type;
#[cfg(feature = "health")]
mod health;
mod hits;
mod instruments;
mod measured;
mod operation_name;
mod pool;
mod record;
mod subscriber;
mod topology;
mod transport;

pub use builder::PoolBuilder;
#[cfg(feature = "cache")]
pub use cache::{Cache, CacheBuilder, CacheError, CacheSetupError};
pub use connection::{Connection, SharedConnection};
pub use deadpool_redis;
pub use deadpool_redis::redis;
pub use deadpool_redis::{Config, PoolConfig, Runtime, Status, TimeoutType, Timeouts};
pub use error::{PoolError, SetupError};
pub use measured::Measured;
pub use pool::Pool;
pub use subscriber::{Subscriber, SubscriberBuilder, SubscriberError};
#[cfg(feature = "cluster")]
pub use topology::Cluster;
#[cfg(feature = "sentinel")]
pub use topology::Sentinel;
pub use topology::{Server, Topology};

/// A [`Pool`] of connections to a cluster, set up by [`Pool::cluster`].
#[cfg(feature = "cluster")]
pub type ClusterPool = Pool<Cluster>;

/// A [`Pool`] of connections to the server that Sentinel names, set up by [`Pool::sentinel`].
#[cfg(feature = "sentinel")]
pub type SentinelPool = Pool<Sentinel>;
