//! The data, in SQLite or PostgreSQL.
//!
//! Every statement is written once and runs on both: [`on_either`] is the whole difference. Every one that touches a
//! tenant's rows names the tenant. `tenants.rs`, `projects.rs`, `reports.rs` and `activity.rs` have the statements;
//! the tables are in `migrations/`.

mod activity;
mod projects;
mod reports;
mod tenants;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitoring_core::health::{CheckBuilder, HealthBuilder};
use monitoring_sqlx::{PgPool, SqlitePool};
use sqlx::Connection;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

pub(crate) use activity::Activity;
pub(crate) use projects::Project;
pub(crate) use reports::{Report, ReportLine, ReportState};

use crate::startup::StartError;

/// How long a request waits for a connection, and SQLite for the one writer. Shorter than the time limit of a request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most rows of a listing.
const PAGE: i64 = 50;

/// The database, whose pool is measured.
#[derive(Clone)]
pub(crate) enum Store {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same code with the pool of either database.
macro_rules! on_either {
    ($store:expr, |$pool:ident| $code:expr) => {
        match $store {
            Store::Sqlite($pool) => $code,
            Store::Postgres($pool) => $code,
        }
    };
}
use on_either;

impl Store {
    /// Opens the database and brings its tables up to date.
    pub(crate) async fn connect(url: &str) -> Result<Self, StartError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Self::open_sqlite(url.parse().map_err(unusable)?).await,
            Some(("postgres" | "postgresql", _)) => Self::connect_postgres(url.parse().map_err(unusable)?).await,
            _ => Err(StartError::DatabaseUrl("it begins with neither sqlite: nor postgres:".to_owned())),
        }
    }

    async fn open_sqlite(database: SqliteConnectOptions) -> Result<Self, StartError> {
        let database = database
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE);
        // A file has no connection to lose, so those that are open stay open.
        let options = PoolOptions::new()
            .max_connections(4)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(PATIENCE);
        let pool = SqlitePool::builder().options(options).connect_with(database).await.map_err(unreachable)?;
        sqlx::migrate!("migrations/sqlite").run(pool.as_sqlx()).await?;
        Ok(Self::Sqlite(pool))
    }

    async fn connect_postgres(database: PgConnectOptions) -> Result<Self, StartError> {
        // A pool waits for a server that may be on its way up, and in the end tells only that it has waited.
        sqlx::PgConnection::connect_with(&database).await.map_err(unreachable)?.close().await.map_err(unreachable)?;
        let options = PoolOptions::new().max_connections(10).acquire_timeout(PATIENCE);
        let pool = PgPool::builder().options(options).connect_with(database).await.map_err(unreachable)?;
        sqlx::migrate!("migrations/postgres").run(pool.as_sqlx()).await?;
        Ok(Self::Postgres(pool))
    }

    /// Adds a check of the database.
    pub(crate) fn check(&self, checks: HealthBuilder, name: &'static str) -> CheckBuilder {
        on_either!(self, |pool| checks.check(name, pool.clone()))
    }

    pub(crate) async fn close(&self) {
        on_either!(self, |pool| pool.close().await);
    }
}

fn unusable(error: sqlx::Error) -> StartError {
    StartError::DatabaseUrl(error.to_string())
}

fn unreachable(error: sqlx::Error) -> StartError {
    StartError::DatabaseUnreachable(error)
}

/// Seconds since 1970, which both databases store alike.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}
