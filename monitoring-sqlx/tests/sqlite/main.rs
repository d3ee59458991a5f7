//! The measured pool, connections and transactions on real SQLite databases.
//!
//! `executors.rs`: every method of sqlx's `Executor`; `outcomes.rs`: errors, cancellations, streams; `transactions.rs`;
//! `pools.rs`: connections and the wait for them; `isolation.rs`: rows of other tenants; `tenants.rs`; `macros.rs`: the checked macros; `statements.rs`: tables,
//! rows, slow statements; `secrets.rs`: what must never be seen.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the set-up of a test may panic as its test functions may"
)]

mod executors;
mod isolation;
mod macros;
mod outcomes;
mod pools;
mod secrets;
mod statements;
mod tenants;
mod transactions;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_sqlx::SqlitePool;
use monitoring_tests::exposition::Samples;
use sqlx::pool::PoolOptions;

/// A database in memory with a table `item(id, name)`, and the monitoring that it is recorded in.
struct Bench {
    monitoring: Monitoring,
    pool: SqlitePool,
}

impl Bench {
    /// With one connection, so that a connection that is not given back shows as a time-out.
    async fn new() -> Self {
        Self::with(PoolOptions::new().max_connections(1)).await
    }

    async fn with(options: PoolOptions<sqlx::Sqlite>) -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = SqlitePool::builder().name("items").options(options).monitoring(&monitoring).unwrap();
        let pool = builder.connect("sqlite::memory:").await.unwrap();
        // Not measured, so that the tests start from nothing.
        sqlx::raw_sql(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
             INSERT INTO item (name) VALUES ('one'), ('two'), ('three');",
        )
        .execute(pool.as_sqlx())
        .await
        .unwrap();
        Self { monitoring, pool }
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// All operations so far, as `NAME` or `NAME error_type`, with their number over all tables.
    fn operations(&self) -> BTreeMap<String, f64> {
        let samples = self.samples();
        let counts = samples.iter().filter(|(series, _)| series.name == "db_client_operation_duration_seconds_count");
        let mut operations = BTreeMap::new();
        for (series, count) in counts {
            assert_eq!(series.labels["db_system_name"], "sqlite");
            let mut name = series.labels["db_operation_name"].clone();
            if let Some(error) = series.labels.get("error_type") {
                name = format!("{name} {error}");
            }
            *operations.entry(name).or_default() += count;
        }
        operations
    }

    #[track_caller]
    fn assert_operations(&self, expected: &[(&str, u32)]) {
        let expected = expected.iter().map(|&(name, count)| (name.to_owned(), f64::from(count))).collect();
        assert_eq!(self.operations(), expected);
    }

    async fn names(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM item ORDER BY id").fetch_all(self.pool.as_sqlx()).await.unwrap()
    }
}

/// A statement that never ends: it gives rows for as long as someone takes them.
const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n";

/// Waits until `condition` holds, and fails if it does not within ten seconds.
#[track_caller]
fn eventually(what: &'static str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let location = std::panic::Location::caller();
    let deadline = Instant::now() + Duration::from_secs(10);
    async move {
        while !condition() {
            assert!(Instant::now() < deadline, "{location}: never happened: {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
