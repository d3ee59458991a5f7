//! All of it on MariaDB, by the driver of MySQL.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::poll_immediate;
use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_sqlx::{MySqlConnection, MySqlPool};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::MariaDb;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::pool::PoolOptions;
use sqlx::{Executor, MySql, Row};

use crate::{count, eventually};

struct Bench {
    monitoring: Monitoring,
    pool: MySqlPool,
    // Dropped after the pool.
    server: MariaDb,
}

impl Bench {
    async fn with(options: PoolOptions<MySql>) -> Self {
        let server = MariaDb::start().unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = MySqlPool::builder().options(options).monitoring(&monitoring).unwrap();
        let pool = builder.connect(&server.url()).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE item (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL UNIQUE);
             INSERT INTO item (name) VALUES ('one'), ('two'), ('three');",
        )
        .execute(pool.as_sqlx())
        .await
        .unwrap();
        Self { monitoring, pool, server }
    }

    fn count(&self, operation: &str, error: &str) -> f64 {
        count(&self.monitoring, operation, "item", error) + count(&self.monitoring, operation, "", error)
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }
}

async fn rename(connection: &mut MySqlConnection, id: i64, name: &str) {
    sqlx::query("UPDATE `item` SET name = ? WHERE id = ?").bind(name).bind(id).execute(connection).await.unwrap();
}

#[tokio::test]
async fn queries_streams_and_transactions_are_measured_for_their_tenant() {
    let bench = Bench::with(PoolOptions::new()).await;
    assert_eq!(bench.pool.name(), "monitoring");
    let acme = bench.monitoring.tenants().register("acme".parse().unwrap(), Tier::Enterprise).unwrap();
    let pool = bench.pool.clone();
    let work = async move {
        let name: String =
            sqlx::query_scalar("SELECT name FROM item WHERE id = ?").bind(2).fetch_one(&pool).await.unwrap();
        assert_eq!(name, "two");
        let rows: Vec<_> = sqlx::query("SELECT name FROM item ORDER BY id").fetch(&pool).try_collect().await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["one", "two", "three"]);

        let mut transaction = pool.begin().await.unwrap();
        rename(&mut transaction, 2, "deux").await;
        let mut savepoint = transaction.begin().await.unwrap();
        rename(&mut savepoint, 3, "trois").await;
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
    };
    // Spawned, because that is where a future that is not `Send` shows.
    tokio::spawn(work.in_tenant(acme)).await.unwrap();

    for (operation, collection, number) in [
        ("SELECT", "item", 2.0),
        ("UPDATE", "item", 2.0),
        ("BEGIN", "", 1.0),
        ("SAVEPOINT", "", 1.0),
        ("ROLLBACK", "", 1.0),
        ("COMMIT", "", 1.0),
    ] {
        assert_eq!(count(&bench.monitoring, operation, collection, ""), number, "{operation}");
    }
    let samples = bench.samples();
    let time = samples.value("saas_tenant_db_time_seconds_total", &[("tenant", "acme"), ("db_system_name", "mysql")]);
    assert!((time.unwrap() - samples.sum("db_client_operation_duration_seconds_sum", &[])).abs() < 1e-6);
    let of_item = [("db_system_name", "mysql"), ("db_collection_name", "item")];
    assert_eq!(samples.value("db_client_response_returned_rows_sum", &of_item), Some(4.0));
}

#[tokio::test]
async fn errors_of_the_server_are_recorded_as_their_class() {
    let bench = Bench::with(PoolOptions::new()).await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item (name) VALUES ('one')").await.unwrap_err();
    pool.execute("INSERT INTO item (name) VALUES (NULL)").await.unwrap_err();
    pool.execute("SELECT * FROM nowhere").await.unwrap_err();
    pool.execute("SELECT nothing FROM item").await.unwrap_err();
    pool.execute("CALL nothing()").await.unwrap_err();
    pool.execute("SET STATEMENT max_statement_time = 0.01 FOR SELECT sleep(10)").await.unwrap_err();

    let mut transaction = pool.begin_with("START TRANSACTION READ ONLY").await.unwrap();
    transaction.execute("DELETE FROM item").await.unwrap_err();
    transaction.rollback().await.unwrap();

    let mut holder = pool.begin().await.unwrap();
    holder.execute("UPDATE item SET name = 'uno' WHERE id = 1").await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    connection.execute("SET innodb_lock_wait_timeout = 1").await.unwrap();
    connection.execute("UPDATE item SET name = 'ein' WHERE id = 1").await.unwrap_err();
    holder.rollback().await.unwrap();

    for (operation, error, number) in [
        ("INSERT", "constraint_violation", 2.0),
        ("SELECT", "invalid_request", 2.0),
        ("CALL", "invalid_request", 1.0),
        ("SET", "timeout", 1.0),
        ("DELETE", "read_only", 1.0),
        ("UPDATE", "timeout", 1.0),
    ] {
        assert_eq!(bench.count(operation, error), number, "{operation} {error}\n{}", bench.monitoring.render());
    }
}

#[tokio::test]
async fn a_user_who_is_turned_away_is_an_authentication_that_failed() {
    let bench = Bench::with(PoolOptions::new()).await;
    let builder = MySqlPool::builder().name("intruder").monitoring(&bench.monitoring).unwrap();
    let options = bench.server.url().parse::<sqlx::mysql::MySqlConnectOptions>().unwrap();
    let pool = builder.connect_lazy_with(options.password("wrong"));
    pool.acquire().await.unwrap_err();
    assert_eq!(bench.count("CONNECT", "authentication_failed"), 1.0, "{}", bench.monitoring.render());
}

#[tokio::test]
async fn a_query_that_is_cancelled_ends_at_once_and_its_connection_serves_the_next_one() {
    let bench = Bench::with(PoolOptions::new().max_connections(1)).await;
    let query = sqlx::query("SELECT sleep(1) FROM item WHERE id = 1").execute(&bench.pool);
    tokio::time::timeout(Duration::from_millis(50), query).await.unwrap_err();
    assert_eq!(bench.count("SELECT", "cancelled"), 1.0);
    (&bench.pool).execute("DO 1").await.unwrap();
    assert_eq!(bench.count("DO", ""), 1.0);
}

#[tokio::test]
async fn a_transaction_given_up_while_it_begins_is_not_left_to_the_next_borrower() {
    let mut bench = Bench::with(PoolOptions::new().max_connections(1).test_before_acquire(false)).await;
    let server = Pid::from_raw(bench.server.process().id().try_into().unwrap()).unwrap();
    let observer = sqlx::MySqlPool::connect(&bench.server.url()).await.unwrap();
    for round in 1..=3 {
        let mut connection = bench.pool.acquire().await.unwrap();
        kill_process(server, Signal::STOP).unwrap();
        let threads = format!("/proc/{}/task", server.as_raw_nonzero());
        eventually("every thread of the server has stopped", || {
            let mut threads = std::fs::read_dir(&threads).unwrap().map(|thread| thread.unwrap().path().join("status"));
            threads.all(|status| std::fs::read_to_string(status).is_ok_and(|status| status.contains("State:\tT")))
        })
        .await;
        let begun = poll_immediate(connection.begin()).await.is_some();
        kill_process(server, Signal::CONT).unwrap();
        assert!(!begun);
        drop(connection);
        let name = format!("round {round}");
        sqlx::query("INSERT INTO item (name) VALUES (?)").bind(&name).execute(&bench.pool).await.unwrap();
        let found = sqlx::query("SELECT id FROM item WHERE name = ?").bind(&name).fetch_optional(&observer).await;
        assert!(found.unwrap().is_some(), "the row was inserted in a transaction that nobody will commit");
    }
    assert_eq!(bench.count("BEGIN", "cancelled"), 3.0);
}

#[tokio::test]
async fn a_server_that_goes_away_shows_in_the_errors() {
    let mut bench = Bench::with(PoolOptions::new().acquire_timeout(Duration::from_secs(5))).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    bench.server.process().stop(Duration::from_secs(10));
    connection.execute("SELECT 1").await.unwrap_err();
    let lost: f64 = ["connection_lost", "unavailable", "io"].iter().map(|error| bench.count("SELECT", error)).sum();
    assert_eq!(lost, 1.0, "{}", bench.monitoring.render());
}
