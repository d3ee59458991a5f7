//! Per-tenant SQL metrics for [sqlx]: a pool, connections and transactions that are used as sqlx's own.
//!
//! Change the import from `sqlx` to this crate, and every statement is measured: how long it took, how it ended, and for
//! which tenant the database worked. `sqlx::query(…)`, `query_as!(…)`, streams and transactions stay as they are. Until
//! monitoring is installed nothing is recorded, and a statement costs an allocation and a few atomic loads more (on the pool
//! also two counted references).
//!
//! # Quick start
//! ```
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use monitoring_core::{Monitoring, TenantFutureExt, Tier};
//! use monitoring_sqlx::{SqliteConnection, SqlitePool};
//!
//! let monitoring = Monitoring::builder("billing").install()?;
//! let pool = SqlitePool::connect("sqlite::memory:").await?;
//!
//! # sqlx::query("CREATE TABLE invoice (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)").execute(&pool).await?;
//! async fn bill(connection: &mut SqliteConnection, cents: i64) -> sqlx::Result<()> {
//!     sqlx::query("INSERT INTO invoice (cents) VALUES (?)").bind(cents).execute(connection).await?;
//!     Ok(())
//! }
//!
//! // Behind `monitoring-axum` each request runs in the scope of its tenant already.
//! let acme = monitoring.tenants().register("acme".parse()?, Tier::Enterprise)?;
//! let total = async {
//!     let mut transaction = pool.begin().await?;
//!     bill(&mut transaction, 4_200).await?;
//!     sqlx::query("UPDATE invoice SET cents = cents + 1").execute(&mut *transaction).await?;
//!     transaction.commit().await?;
//!     sqlx::query_scalar::<_, i64>("SELECT sum(cents) FROM invoice").fetch_one(&pool).await
//! }
//! .in_tenant(acme)
//! .await?;
//!
//! assert_eq!(total, 4_201);
//! let metrics = monitoring.render();
//! assert!(metrics.contains(
//!     r#"seconds_count{db_system_name="sqlite",db_operation_name="UPDATE",db_collection_name="invoice"} 1"#
//! ));
//! assert!(metrics.contains(r#"saas_tenant_db_time_seconds_total{tenant="acme",db_system_name="sqlite"}"#));
//! # Ok(()) }
//! # #[cfg(not(feature = "sqlite"))] fn main() {}
//! ```
//!
//! # What is recorded
//! | metric | kind | labels | what |
//! | --- | --- | --- | --- |
//! | `db_client_operation_duration_seconds` | histogram | `db_system_name`, `db_operation_name`, `db_collection_name`, `error_type` | each operation once, over all tenants; the wait for a connection left out |
//! | `db_client_response_returned_rows` | histogram | `db_system_name`, `db_collection_name` | rows of statements whose rows were asked for and all came |
//! | `saas_tenant_db_time_seconds_total` | counter | `tenant`, `db_system_name` | the same time, summed for each tenant |
//! | `saas_db_slow_queries_total` | counter | `tenant`, `db_system_name`, `db_query_summary` | statements over the threshold of [`SlowQueries`], which are also logged |
//! | `saas_db_transaction_duration_seconds` | histogram | `db_system_name`, `outcome` | for how long each transaction was open, and whether it was `committed`, `rolled_back`, or its end is `commit_unknown` |
//! | `saas_tenant_isolation_violations_total` | counter | `tenant`, `layer` | rows of other tenants that [`OfTenant`] has stopped, with `layer="db"` |
//! | `saas_db_notifications_total`, `saas_db_listener_disconnects_total` | counter | `…_pool_name` | what a `PgListener` received, and when it was cut off |
//! | `db_client_connection_count` | gauge | `…_state` (`idle`, `used`), `…_pool_name` | open connections, read from the pool at each scrape |
//! | `db_client_connection_max` | gauge | `…_pool_name` | connections the pool may open |
//! | `db_client_connection_pending_requests` | gauge | `…_pool_name` | who waits for a connection now |
//! | `db_client_connection_timeouts_total` | counter | `…_pool_name` | waits that ended with the pool's time-out |
//! | `db_client_connection_wait_time_seconds` | histogram | `…_pool_name` | time to get a connection, when there was one at last |
//! | `db_client_connection_use_time_seconds` | histogram | `…_pool_name` | time from taking a connection to giving it back |
//!
//! `…_state` and `…_pool_name` stand for `db_client_connection_state` and `db_client_connection_pool_name`.
//!
//! **`db_operation_name`** is what the statement does (`SELECT`, `INSERT`, `BEGIN`, …): a word of a fixed list, else `_OTHER`.
//! Preparing is `PREPARE`, and what sqlx's macros do with a live database is `DESCRIBE`. A batch is one operation with the name
//! of its first statement. **`db_collection_name`** is the table, when there is one only, and the database has understood the
//! statement at least once; so no value can get there, be it by a mistake in a statement. Both are told by a parser
//! (`sqlparser`), once for each text; what it does not understand has the operation of its first keyword, and no table.
//!
//! Who asks for a connection ([`Pool::acquire`]) and gets none counts
//! as one operation `CONNECT` that failed, or was cancelled, with no time; a statement on the pool that gets none counts under
//! its own name instead. No statement text and no argument reaches a metric or `Debug`.
//!
//! **`error_type`** is absent on success, else a class of [`monitoring_core::database::ErrorType`], from the SQLSTATE or
//! SQLite's result code: `constraint_violation`, `conflict`, `timeout`, `pool_timeout`, `connection_lost`, …
//! - A future that is dropped while it runs, or a stream before its last row, is `cancelled`.
//! - A stream that yields an error is that error, once. An error in what *you* make of a row ends the stream from outside:
//!   `cancelled`.
//! - An operation that never got a connection is counted as `pool_timeout`, `pool_closed`, `cancelled` or why none could be
//!   made (`authentication_failed`, `tls`, …), with no time.
//! - `fetch_one` without a row is `not_found` for `sqlx::query`. `query_as`, `query_scalar` and the macros ask for an
//!   optional row and turn its absence into an error themselves, so for the database that is a success.
//!
//! **The tenant** is that of the scope in which a future is first polled. A stream belongs to the tenant in whose scope it
//! was made, so that the rows of a streamed response count for the request that asked for them; made outside of a scope, it
//! belongs to the tenant of its first poll.
//!
//! **`db_client_connection_create_time` is not recorded**: sqlx tells when a connection was made (`after_connect`), but not
//! when its making began. The wait contains it.
//!
//! # One tenant's rows kept from another
//! Two walls, each of which holds by itself: [`PoolBuilder::row_level_security`] has PostgreSQL show only the rows of the tenant
//! that a connection was taken for, whatever `WHERE` was forgotten; [`OfTenant`] looks at rows as they are read, with any
//! database, and counts what it stops. Behind pgbouncer or Supabase's pooler, see [`PoolBuilder::transaction_pooler`].
//!
//! # What it costs
//! A statement on a connection: one allocation (the future that measures the driver's), two readings of the clock, a look-up
//! of its text and one of its operation, and three relaxed atomic additions, six where rows are asked for. A statement on the pool also
//! records the wait and the use: three more readings, six more additions, and three counted references to what the pool
//! shares, beside those that sqlx's pool counts itself. Streams on a connection add a branch for each row. No lock is taken
//! for a text that was seen before. A new one is parsed, on a stack of its own: some tens of microseconds, 100 times a second at
//! most after the first 2 048. Memory does not grow with the number of statements: 4 MiB of texts, and as much again for what
//! was learnt from them.
//!
//! # Coming from sqlx
//! | sqlx | here |
//! | --- | --- |
//! | `PgPool`, `SqlitePool`, `Pool<DB>` | [`PgPool`, `SqlitePool`, `Pool<DB>`](Pool) |
//! | `PgPoolOptions::new()….connect(url)` | [`PgPool::builder()`](Pool::builder)[`.options(…)`](PoolBuilder::options)`.connect(url)` |
//! | a `sqlx::PgPool` that exists | `PgPool::from(pool)` |
//! | `&mut PgConnection` in a signature | [`&mut PgConnection`](Connection) |
//! | `Transaction<'_, Postgres>` | [`Transaction<'_, Postgres>`, `PgTransaction<'_>`](Transaction) |
//! | `impl PgExecutor<'_>` | the same |
//! | `PgListener::connect_with(&pool)` | `PgListener::connect_with(&pool)` of this crate |
//! | `connection.copy_in_raw(…)`, `copy_out_raw(…)` | the same on a [`Connection`]; the former takes all data at once, as an `AsyncRead` |
//! | `migrator.run(&pool)` | with [`pool.as_sqlx()`](Pool::as_sqlx) or [`connection.as_sqlx_mut()`](Connection::as_sqlx_mut): not measured |
//!
//! Transactions and pooled connections dereference to this crate's [`Connection`], never to sqlx's, so that `&mut *tx`
//! cannot go past the measurement by accident. For that reason sqlx's `Acquire` is not implemented: it would hand out
//! sqlx's connection. Where you need that, the methods named `as_sqlx` and `into_sqlx` say so.
//!
//! One thing behaves better than in sqlx 0.9.0: when a transaction is given up while its `BEGIN` is under way, or a `BEGIN`
//! fails after it has opened a transaction (`begin_with("BEGIN; SET …")`), the connection is closed instead of being handed,
//! within that transaction, to the next one who asks the pool. And so is one on which a `COPY` was given up or has failed, which
//! sqlx hands on with the answers to that still to come.
//!
//! # Features
//! - `postgres`: `PgPool`, `PgConnection`, `PgTransaction`, `PgListener`, `COPY`.
//! - `mysql`: `MySqlPool`, `MySqlConnection`, `MySqlTransaction`; for MariaDB too, which is `mysql` in the labels.
//! - `health`: a pool is a `HealthCheck` of `monitoring_core::health`.
//! - `sqlite`: `SqlitePool`, `SqliteConnection`, `SqliteTransaction`.
//!
//! TLS and type support are sqlx's features, to be set on your own `sqlx` dependency. The [`sqlx`] of this crate is
//! re-exported, so that there is a path to the version that it measures; the macros of sqlx need the dependency itself.
//!
//! # What is where
//! `pool.rs` and `builder.rs`: the pool. `connection.rs`, `transaction.rs`: what it hands out; `session.rs`,
//! `open_transaction.rs`: what is known of those. `executor.rs`: sqlx's `Executor` for both; `copy.rs`, `listener.rs`: what
//! PostgreSQL has beside it. `query.rs`, `operation_name.rs`, `statement/`: reading a statement on its way. `record.rs`,
//! `error_type.rs`: what is measured of an operation; `slow_query/`: what is told of slow ones. `isolation/`: rows kept from
//! other tenants. `database.rs`: what differs between databases.

mod builder;
mod connection;
#[cfg(feature = "postgres")]
mod copy;
mod database;
mod error_type;
mod executor;
#[cfg(feature = "health")]
mod health;
mod isolation;
#[cfg(feature = "postgres")]
mod listener;
mod open_transaction;
mod operation_name;
mod pool;
mod query;
mod record;
mod session;
mod slow_query;
mod statement;
mod transaction;

pub use builder::PoolBuilder;
pub use connection::{Connection, PoolConnection};
pub use database::MeasuredDatabase;
#[cfg(feature = "postgres")]
pub use isolation::{InvalidSetting, RowLevelSecurity};
pub use isolation::{IsolationError, OfTenant, TenantRow, check_tenant};
#[cfg(feature = "postgres")]
pub use listener::PgListener;
pub use pool::Pool;
pub use slow_query::{ExplainSlow, SlowQueries};
pub use sqlx;
pub use transaction::Transaction;

/// A measured pool of PostgreSQL connections.
#[cfg(feature = "postgres")]
pub type PgPool = Pool<sqlx::Postgres>;
/// A measured PostgreSQL connection.
#[cfg(feature = "postgres")]
pub type PgConnection = Connection<sqlx::Postgres>;
/// A measured PostgreSQL transaction.
#[cfg(feature = "postgres")]
pub type PgTransaction<'c> = Transaction<'c, sqlx::Postgres>;

/// A measured pool of MySQL or MariaDB connections.
#[cfg(feature = "mysql")]
pub type MySqlPool = Pool<sqlx::MySql>;
/// A measured MySQL or MariaDB connection.
#[cfg(feature = "mysql")]
pub type MySqlConnection = Connection<sqlx::MySql>;
/// A measured MySQL or MariaDB transaction.
#[cfg(feature = "mysql")]
pub type MySqlTransaction<'c> = Transaction<'c, sqlx::MySql>;

/// A measured pool of SQLite connections.
#[cfg(feature = "sqlite")]
pub type SqlitePool = Pool<sqlx::Sqlite>;
/// A measured SQLite connection.
#[cfg(feature = "sqlite")]
pub type SqliteConnection = Connection<sqlx::Sqlite>;
/// A measured SQLite transaction.
#[cfg(feature = "sqlite")]
pub type SqliteTransaction<'c> = Transaction<'c, sqlx::Sqlite>;
