//! `monitoring-sqlx` on a real PostgreSQL: what SQLite cannot show.
//!
//! The metadata of the checked macros are in `.sqlx` beside this crate's manifest.

#![allow(clippy::unwrap_used, reason = "the set-up of a test may panic as its test functions may")]

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::poll_immediate;
use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_sqlx::{PgConnection, PgPool};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::servers::PostgreSql;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Executor;
use sqlx::pool::PoolOptions;

struct Bench {
    monitoring: Monitoring,
    pool: PgPool,
    server: PostgreSql,
}

impl Bench {
    async fn with(options: PoolOptions<sqlx::Postgres>) -> Self {
        let server = PostgreSql::start().unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = PgPool::builder().options(options).monitoring(&monitoring).unwrap();
        let pool = builder.connect(&server.url()).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE item (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE);
             INSERT INTO item (name) VALUES ('one'), ('two'), ('three');",
        )
        .execute(pool.as_sqlx())
        .await
        .unwrap();
        Self { monitoring, pool, server }
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// How many operations of that name ended with that error; with an empty one, how many succeeded.
    fn count(&self, name: &str, error: &str) -> f64 {
        let samples = self.samples();
        let counts = samples.iter().filter(|(series, _)| series.name == "db_client_operation_duration_seconds_count");
        let label = |series: &Series, label: &str| series.labels.get(label).cloned().unwrap_or_default();
        counts
            .filter(|(series, _)| label(series, "db_operation_name") == name && label(series, "error_type") == error)
            .map(|(_, count)| count)
            .sum()
    }
}

#[derive(Debug, PartialEq)]
struct Item {
    id: i64,
    name: String,
}

async fn rename(connection: &mut PgConnection, id: i64, name: &str) {
    sqlx::query!("UPDATE item SET name = $1 WHERE id = $2", name, id).execute(connection).await.unwrap();
}

#[tokio::test]
async fn checked_macros_streams_and_transactions_are_measured_for_their_tenant() {
    let bench = Bench::with(PoolOptions::new()).await;
    let acme = bench.monitoring.tenants().register("acme".parse().unwrap(), Tier::Enterprise).unwrap();
    let pool = bench.pool.clone();
    assert_eq!(pool.name(), "postgres");

    let work = async move {
        let item = sqlx::query_as!(Item, "SELECT id, name FROM item WHERE name = $1", "two").fetch_one(&pool).await;
        assert_eq!(item.unwrap(), Item { id: 2, name: "two".to_owned() });

        let rows = sqlx::query_scalar!("SELECT x FROM generate_series(1, 5000) AS series (x)").fetch(&pool);
        assert_eq!(rows.try_fold(0, async |count, _| Ok(count + 1)).await.unwrap(), 5000);

        let mut transaction = pool.begin().await.unwrap();
        rename(&mut transaction, 2, "deux").await;
        let mut savepoint = transaction.begin().await.unwrap();
        rename(&mut savepoint, 3, "trois").await;
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
    };
    // Spawned, because that is where a future that is not `Send` shows.
    tokio::spawn(work.in_tenant(acme)).await.unwrap();

    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM item ORDER BY id").fetch_all(bench.pool.as_sqlx()).await.unwrap();
    assert_eq!(names, ["one", "deux", "three"]);
    for (name, count) in
        [("SELECT", 2.0), ("BEGIN", 1.0), ("UPDATE", 2.0), ("SAVEPOINT", 1.0), ("ROLLBACK", 1.0), ("COMMIT", 1.0)]
    {
        assert_eq!(bench.count(name, ""), count, "{name}");
    }
    let samples = bench.samples();
    let of_acme = [("tenant", "acme"), ("db_system_name", "postgresql")];
    let time = samples.value("saas_tenant_db_time_seconds_total", &of_acme).unwrap();
    assert!((time - samples.sum("db_client_operation_duration_seconds_sum", &[])).abs() < 1e-6);
}

#[tokio::test]
async fn errors_of_the_server_are_recorded_as_their_class() {
    let bench = Bench::with(PoolOptions::new()).await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item (name) VALUES ('one')").await.unwrap_err();
    pool.execute("SELECT 1 / 0").await.unwrap_err();
    pool.execute("SET statement_timeout = 10; SELECT pg_sleep(10)").await.unwrap_err();

    let mut transaction = pool.begin_with("START TRANSACTION READ ONLY").await.unwrap();
    (&mut *transaction).execute("DELETE FROM item").await.unwrap_err();
    (&mut *transaction).execute("VALUES (1)").await.unwrap_err();
    transaction.rollback().await.unwrap();

    let mut holder = pool.begin().await.unwrap();
    (&mut *holder).execute("LOCK TABLE item").await.unwrap();
    pool.execute("LOCK TABLE item NOWAIT").await.unwrap_err();
    pool.execute("BEGIN; LOCK TABLE item NOWAIT").await.unwrap_err();
    holder.commit().await.unwrap();

    let classes = [
        ("INSERT", "constraint_violation"),
        ("SELECT", "invalid_request"),
        ("SET", "timeout"),
        ("START", ""),
        ("DELETE", "read_only"),
        ("VALUES", "invalid_request"),
        ("ROLLBACK", ""),
        ("BEGIN", "conflict"),
    ];
    for (name, error) in classes {
        assert_eq!(bench.count(name, error), 1.0, "{name} {error}\n{}", bench.monitoring.render());
    }
}

#[tokio::test]
async fn a_query_that_is_cancelled_ends_at_once_and_its_connection_serves_the_next_one() {
    let bench = Bench::with(PoolOptions::new().max_connections(1)).await;
    let query = sqlx::query("SELECT pg_sleep(1)").execute(&bench.pool);
    tokio::time::timeout(Duration::from_millis(50), query).await.unwrap_err();
    assert_eq!(bench.count("SELECT", "cancelled"), 1.0);
    let time = bench.samples().sum("db_client_operation_duration_seconds_sum", &[]);
    assert!(time < 1.0, "the operation took {time} s, longer than anybody waited for it");

    let mut rows = sqlx::query("SELECT generate_series(1, 100000)").fetch(&bench.pool);
    rows.try_next().await.unwrap();
    drop(rows);
    assert_eq!(bench.count("SELECT", "cancelled"), 2.0);

    (&bench.pool).execute("VALUES (1)").await.unwrap();
    assert_eq!(bench.count("VALUES", ""), 1.0);
}

/// Stops the server's process that serves a connection, as a network would that delivers nothing; goes on when dropped.
struct Stopped(Pid);

impl Stopped {
    async fn behind(connection: &mut PgConnection) -> Self {
        let process = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection.as_sqlx_mut()).await.unwrap();
        let process = Pid::from_raw(process).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // The server may be gone already.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[tokio::test]
async fn a_transaction_given_up_while_it_begins_is_not_left_to_the_next_borrower() {
    // Without the test of an idle connection, the first poll of `begin` sends BEGIN.
    let bench = Bench::with(PoolOptions::new().max_connections(1).test_before_acquire(false)).await;
    let observer = sqlx::PgPool::connect(&bench.server.url()).await.unwrap();
    for round in 1..=3 {
        let mut connection = bench.pool.acquire().await.unwrap();
        let stopped = Stopped::behind(&mut connection).await;
        assert!(poll_immediate(connection.begin()).await.is_none());
        assert_eq!(bench.count("BEGIN", "cancelled"), f64::from(round));
        drop(stopped);
        drop(connection);

        let name = format!("round {round}");
        sqlx::query("INSERT INTO item (name) VALUES ($1)").bind(&name).execute(&bench.pool).await.unwrap();
        let find = sqlx::query("SELECT id FROM item WHERE name = $1").bind(&name).fetch_optional(&observer);
        let found = find.await.unwrap();
        assert!(found.is_some(), "the row was inserted in a transaction that nobody will commit");
    }
}

#[tokio::test]
async fn a_transaction_that_fails_while_it_begins_is_not_left_to_the_next_borrower() {
    let bench = Bench::with(PoolOptions::new().max_connections(1)).await;
    let process = || sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").fetch_one(&bench.pool);
    let first = process().await.unwrap();
    bench.pool.begin_with("BEGIN; SELECT 1 / 0").await.unwrap_err();
    let second = process().await.unwrap();
    assert_ne!(first, second, "the connection is still in use");

    // Nothing has begun, so the connection is as good as it was.
    assert!(matches!(bench.pool.begin_with("VALUES (1)").await, Err(sqlx::Error::BeginFailed)));
    let mut transaction = bench.pool.begin().await.unwrap();
    let nested = transaction.begin_with("BEGIN").await;
    assert!(matches!(nested, Err(sqlx::Error::InvalidSavePointStatement)));
    drop(nested);
    transaction.commit().await.unwrap();
    assert_eq!(process().await.unwrap(), second);
    assert_eq!(bench.count("BEGIN", "invalid_request"), 2.0);
    assert_eq!(bench.count("CONNECT", ""), 0.0);
}

#[tokio::test]
async fn a_server_that_turns_us_away_shows_once_for_each_who_asked() {
    let bench = Bench::with(PoolOptions::new()).await;
    let builder = PgPool::builder().name("intruder").monitoring(&bench.monitoring).unwrap();
    let options = bench.server.url().parse::<sqlx::postgres::PgConnectOptions>().unwrap();
    let pool = builder.connect_lazy_with(options.username("nobody"));
    pool.acquire().await.unwrap_err();
    assert_eq!(bench.count("CONNECT", "authentication_failed"), 1.0, "{}", bench.monitoring.render());
    pool.execute("VALUES (1)").await.unwrap_err();
    pool.begin().await.unwrap_err();
    for name in ["CONNECT", "VALUES", "BEGIN"] {
        assert_eq!(bench.count(name, "authentication_failed"), 1.0, "{name}\n{}", bench.monitoring.render());
    }
}

#[tokio::test]
async fn a_server_that_goes_away_shows_in_the_errors() {
    // The last statement waits as long as this, but so may the first on a busy machine.
    let mut bench = Bench::with(PoolOptions::new().acquire_timeout(Duration::from_secs(5))).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    bench.server.process().stop(Duration::from_secs(10));
    connection.execute("SELECT 1").await.unwrap_err();
    drop(connection);
    (&bench.pool).execute("VALUES (1)").await.unwrap_err();

    let lost: f64 = ["connection_lost", "unavailable", "io"].iter().map(|error| bench.count("SELECT", error)).sum();
    assert_eq!(lost, 1.0, "{}", bench.monitoring.render());
    let refused: f64 = ["pool_timeout", "connection_refused"].iter().map(|error| bench.count("VALUES", error)).sum();
    assert_eq!(refused, 1.0, "{}", bench.monitoring.render());
}
