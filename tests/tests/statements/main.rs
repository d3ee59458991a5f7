//! Statements on real servers: what only PostgreSQL has, and MySQL.
//!
//! `copy.rs`: COPY from and to the program; `listen.rs`: LISTEN and what is notified; `explain.rs`: plans of slow statements;
//! `mysql.rs`: all of it on MariaDB.

#![allow(clippy::unwrap_used, reason = "the set-up of a test may panic as its test functions may")]

mod copy;
mod explain;
mod listen;
mod mysql;

use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_sqlx::{PgPool, PoolBuilder};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::servers::PostgreSql;
use sqlx::Postgres;

/// A PostgreSQL server with a table `item(id, name)`, and the monitoring of a pool on it.
struct Bench {
    monitoring: Monitoring,
    pool: PgPool,
    // Dropped after the pool.
    server: PostgreSql,
}

impl Bench {
    async fn new() -> Self {
        Self::set_up(|builder| builder).await
    }

    async fn set_up(set_up: impl FnOnce(PoolBuilder<Postgres>) -> PoolBuilder<Postgres>) -> Self {
        let server = PostgreSql::start().unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = PgPool::builder().monitoring(&monitoring).unwrap();
        let pool = set_up(builder).connect(&server.url()).await.unwrap();
        sqlx::raw_sql("CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT)").execute(pool.as_sqlx()).await.unwrap();
        Self { monitoring, pool, server }
    }

    fn count(&self, operation: &str, collection: &str, error: &str) -> f64 {
        count(&self.monitoring, operation, collection, error)
    }
}

/// How many operations on that table ended with that error; both may be empty.
fn count(monitoring: &Monitoring, operation: &str, collection: &str, error: &str) -> f64 {
    let samples: Samples = monitoring.render().parse().unwrap();
    let label = |series: &Series, label: &str| series.labels.get(label).cloned().unwrap_or_default();
    samples
        .iter()
        .filter(|(series, _)| series.name == "db_client_operation_duration_seconds_count")
        .filter(|(series, _)| label(series, "db_operation_name") == operation)
        .filter(|(series, _)| label(series, "db_collection_name") == collection)
        .filter(|(series, _)| label(series, "error_type") == error)
        .map(|(_, count)| count)
        .sum()
}

/// Waits until `condition` holds, and fails if it does not within ten seconds.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
