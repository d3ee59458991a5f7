//! The pool's connections, and the wait for them.

use std::time::{Duration, Instant};

use futures_util::future::poll_immediate;
use monitoring_core::Monitoring;
use monitoring_sqlx::SqlitePool;
use sqlx::Executor;
use sqlx::pool::PoolOptions;

use crate::{Bench, eventually};

const POOL: (&str, &str) = ("db_client_connection_pool_name", "items");

impl Bench {
    fn of_pool(&self, metric: &str) -> f64 {
        self.samples().sum(&format!("db_client_connection_{metric}"), &[POOL])
    }

    fn connections(&self, state: &str) -> f64 {
        self.samples().sum("db_client_connection_count", &[POOL, ("db_client_connection_state", state)])
    }
}

#[tokio::test]
async fn connections_are_counted_as_used_and_then_as_idle() {
    let bench = Bench::with(PoolOptions::new().max_connections(4)).await;
    let first = bench.pool.acquire().await.unwrap();
    let second = bench.pool.acquire().await.unwrap();
    assert_eq!(bench.of_pool("max"), 4.0);
    // The connection of the set-up may still be on its way back.
    eventually("two are used", || bench.connections("used") == 2.0).await;
    assert_eq!(bench.of_pool("use_time_seconds_count"), 0.0);

    drop((first, second));
    assert_eq!(bench.of_pool("use_time_seconds_count"), 2.0);
    let all = f64::from(bench.pool.size());
    assert!(all >= 2.0);
    eventually("all are idle", || bench.connections("idle") == all && bench.connections("used") == 0.0).await;
}

#[tokio::test]
async fn an_exhausted_pool_is_a_time_out_and_an_operation_that_failed_without_time() {
    let bench = Bench::with(PoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(20))).await;
    let held = bench.pool.acquire().await.unwrap();
    let pool = &bench.pool;

    assert!(matches!(pool.execute("DELETE FROM item").await, Err(sqlx::Error::PoolTimedOut)));
    assert!(matches!(pool.begin().await, Err(sqlx::Error::PoolTimedOut)));
    assert!(matches!(pool.acquire().await, Err(sqlx::Error::PoolTimedOut)));
    assert!(pool.try_acquire().is_none());

    assert_eq!(bench.of_pool("timeouts_total"), 3.0);
    assert_eq!(bench.of_pool("pending_requests"), 0.0);
    assert_eq!(bench.of_pool("wait_time_seconds_count"), 1.0, "only the connection that is held was waited for");
    bench.assert_operations(&[("DELETE pool_timeout", 1), ("BEGIN pool_timeout", 1), ("CONNECT pool_timeout", 1)]);
    assert_eq!(bench.samples().sum("db_client_operation_duration_seconds_sum", &[]), 0.0);
    drop(held);
}

#[tokio::test]
async fn the_wait_for_a_connection_is_no_time_of_the_query() {
    let bench = Bench::new().await;
    let held = bench.pool.acquire().await.unwrap();
    let start = Instant::now();
    let mut query = Box::pin(sqlx::query("SELECT 1").execute(&bench.pool));
    tokio::time::timeout(Duration::from_millis(30), &mut query).await.unwrap_err();
    assert_eq!(bench.of_pool("pending_requests"), 1.0);

    drop(held);
    query.await.unwrap();
    let total = start.elapsed().as_secs_f64();
    let waited = bench.of_pool("wait_time_seconds_sum");
    let operation = bench.samples().sum("db_client_operation_duration_seconds_sum", &[]);
    assert!(waited >= 0.03, "waited for {waited} s");
    assert!(operation > 0.0 && operation <= total - 0.03, "{operation} s of {total} s");
    assert_eq!(bench.of_pool("pending_requests"), 0.0);
}

#[tokio::test]
async fn a_query_given_up_while_it_waits_is_cancelled_and_no_longer_pending() {
    let bench = Bench::new().await;
    let held = bench.pool.acquire().await.unwrap();
    assert!(poll_immediate(sqlx::query("SELECT 1").execute(&bench.pool)).await.is_none());
    drop(held);
    assert_eq!(bench.of_pool("pending_requests"), 0.0);
    assert_eq!(bench.of_pool("timeouts_total"), 0.0);
    bench.assert_operations(&[("SELECT cancelled", 1)]);
    assert_eq!(bench.samples().sum("saas_tenant_db_time_seconds_total", &[]), 0.0);
}

#[tokio::test]
async fn a_wait_for_a_connection_alone_is_an_operation_only_if_it_is_in_vain() {
    let bench = Bench::new().await;
    let held = bench.pool.acquire().await.unwrap();
    drop(bench.pool.acquire());
    bench.assert_operations(&[]);
    assert!(poll_immediate(bench.pool.acquire()).await.is_none());
    bench.assert_operations(&[("CONNECT cancelled", 1)]);
    assert_eq!(bench.of_pool("pending_requests"), 0.0);

    drop(held);
    bench.pool.close().await;
    bench.pool.acquire().await.unwrap_err();
    bench.assert_operations(&[("CONNECT cancelled", 1), ("CONNECT pool_closed", 1)]);
    assert_eq!(bench.samples().sum("saas_tenant_db_time_seconds_total", &[]), 0.0);
}

#[tokio::test]
async fn each_query_on_the_pool_waits_for_and_uses_one_connection() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        (&bench.pool).execute("SELECT 1").await.unwrap();
    }
    assert_eq!(bench.of_pool("wait_time_seconds_count"), 3.0);
    assert_eq!(bench.of_pool("use_time_seconds_count"), 3.0);
}

#[tokio::test]
async fn a_pool_that_is_dropped_leaves_no_connections_behind() {
    let Bench { monitoring, pool } = Bench::new().await;
    assert!(monitoring.render().contains("db_client_connection_max{db_client_connection_pool_name=\"items\"} 1\n"));
    let clone = pool.clone();
    drop(pool);
    assert!(monitoring.render().contains("db_client_connection_max{db_client_connection_pool_name=\"items\"} 1\n"));
    drop(clone);
    assert!(monitoring.render().contains("db_client_connection_max{db_client_connection_pool_name=\"items\"} 0\n"));
}

#[tokio::test]
async fn pools_of_one_name_add_up() {
    let bench = Bench::new().await;
    let builder = SqlitePool::builder().name("items").monitoring(&bench.monitoring).unwrap();
    let other = builder.options(PoolOptions::new().max_connections(5)).connect("sqlite::memory:").await.unwrap();
    assert_eq!(bench.of_pool("max"), 6.0);
    drop(other);
    assert_eq!(bench.of_pool("max"), 1.0);
}

#[tokio::test]
async fn a_connection_that_is_detached_is_measured_and_no_longer_used() {
    let bench = Bench::new().await;
    let mut detached = bench.pool.acquire().await.unwrap().detach();
    assert_eq!(bench.of_pool("use_time_seconds_count"), 1.0);
    detached.execute("SELECT 1").await.unwrap();
    bench.assert_operations(&[("SELECT", 1)]);
    assert_eq!(bench.connections("used"), 0.0);
    detached.close().await.unwrap();
}

#[tokio::test]
async fn a_pool_that_is_closed_refuses_and_says_so() {
    let bench = Bench::new().await;
    bench.pool.close().await;
    assert!(bench.pool.is_closed());
    (&bench.pool).execute("SELECT 1").await.unwrap_err();
    bench.assert_operations(&[("SELECT pool_closed", 1)]);
    assert_eq!(bench.of_pool("timeouts_total"), 0.0);
}

#[tokio::test]
async fn a_pool_of_sqlx_is_measured_once_it_is_wrapped() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
    let plain = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let pool = SqlitePool::builder().monitoring(&monitoring).unwrap().wrap(plain);
    assert_eq!(pool.name(), "shop");
    (&pool).execute("SELECT 1").await.unwrap();
    let bench = Bench { monitoring, pool };
    bench.assert_operations(&[("SELECT", 1)]);
}

#[tokio::test]
async fn a_pool_without_monitoring_works_and_records_nothing() {
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    (&mut *transaction).execute("SELECT 1").await.unwrap();
    transaction.commit().await.unwrap();
    SqlitePool::from(pool.as_sqlx().clone()).execute("SELECT 1").await.unwrap();
    assert!(SqlitePool::connect("postgres://elsewhere/").await.is_err());
}
