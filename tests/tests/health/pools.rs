//! Pools of PostgreSQL, SQLite and Redis: down, silent, exhausted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use monitoring_core::health::{Reason, Status};
use monitoring_redis::{Config, Pool as RedisPool, PoolConfig};
use monitoring_sqlx::{PgPool, SqlitePool};
use monitoring_tests::Proxy;
use monitoring_tests::servers::{PostgreSql, Redis};
use sqlx::pool::PoolOptions;

use super::{DEADLINE, monitoring, once, only};

const SHORT: Duration = Duration::from_millis(400);

/// The same URL through the proxy.
fn through(proxy: &Proxy, url: &str, server: SocketAddr) -> String {
    assert!(url.contains(&server.to_string()), "the address is in the URL");
    url.replace(&server.to_string(), &proxy.address().to_string())
}

async fn postgres(connections: u32) -> (PostgreSql, Proxy, PgPool, String) {
    let server = PostgreSql::start().unwrap();
    let proxy = Proxy::to(server.address()).unwrap();
    let url = through(&proxy, &server.url(), server.address());
    // Without sqlx's own ping, so that it is the check which finds a dead connection.
    let options = PoolOptions::new().max_connections(connections).test_before_acquire(false);
    let options = options.acquire_timeout(Duration::from_secs(60));
    let pool = PgPool::builder().options(options).connect(&url).await.unwrap();
    (server, proxy, pool, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_is_down_and_comes_back() {
    let (_server, proxy, pool, url) = postgres(2).await;
    let monitoring = monitoring();
    only(&monitoring, pool).start().unwrap();
    once(&monitoring, Status::Up, None).await;
    proxy.refuse();
    proxy.cut();
    let report = once(&monitoring, Status::Down, Some(Reason::ConnectionRefused)).await;
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(password.len() > 4 && !format!("{report:?}").contains(password));
    assert!(!monitoring.is_ready());
    proxy.accept();
    once(&monitoring, Status::Up, None).await;
    assert!(monitoring.is_ready());
    // It is nobody's statement.
    assert!(!monitoring.render().contains("db_client_operation_duration_seconds_count{"));
}

/// Row E4 of the faults: a socket that is silently dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e4_a_database_behind_a_silent_socket_is_not_called_healthy_and_costs_the_pool_no_place() {
    let (_server, proxy, pool, _url) = postgres(2).await;
    let monitoring = monitoring();
    only(&monitoring, pool.clone()).time_out(SHORT).start().unwrap();
    once(&monitoring, Status::Up, None).await;
    proxy.stall();
    once(&monitoring, Status::Down, Some(Reason::Timeout)).await;
    // The dead connections are thrown away, and hold no place of the pool while the database is silent.
    let start = Instant::now();
    while pool.size() > 0 || monitoring.health_report().checks[0].failures < 4 {
        assert!(start.elapsed() < DEADLINE, "{pool:?}");
        assert!(!monitoring.is_ready());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    proxy.resume();
    once(&monitoring, Status::Up, None).await;
    let both = async { (pool.acquire().await.unwrap(), pool.acquire().await.unwrap()) };
    tokio::time::timeout(DEADLINE, both).await.expect("the pool has all its places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_exhausted_is_told_from_a_database_that_is_down() {
    let (_server, proxy, pool, _url) = postgres(1).await;
    let held = pool.acquire().await.unwrap();
    let monitoring = monitoring();
    only(&monitoring, pool.clone()).time_out(SHORT).start().unwrap();
    let report = once(&monitoring, Status::Down, Some(Reason::PoolExhausted)).await;
    assert_eq!(report.problem.unwrap().detail(), Some("the database answers, but all 1 connections are in use"));
    // Exhausted as it is, the database behind it goes as well.
    proxy.refuse();
    once(&monitoring, Status::Down, Some(Reason::ConnectionRefused)).await;
    proxy.accept();
    once(&monitoring, Status::Down, Some(Reason::PoolExhausted)).await;
    drop(held);
    once(&monitoring, Status::Up, None).await;
    pool.close().await;
    once(&monitoring, Status::Down, Some(Reason::PoolClosed)).await;
}

#[tokio::test]
async fn a_file_of_sqlite_can_be_checked_too() {
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let monitoring = monitoring();
    only(&monitoring, pool).start().unwrap();
    once(&monitoring, Status::Up, None).await;
    assert!(monitoring.is_ready());
}

fn redis(connections: usize) -> (Redis, Proxy, RedisPool) {
    let server = Redis::start().unwrap();
    let proxy = Proxy::to(server.address()).unwrap();
    let mut config = Config::from_url(through(&proxy, &server.url(), server.address()));
    config.pool = Some(PoolConfig::new(connections));
    let pool = RedisPool::new(&config).unwrap();
    (server, proxy, pool)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_gone_or_silent_is_down_and_comes_back() {
    let (_server, proxy, pool) = redis(2);
    let monitoring = monitoring();
    only(&monitoring, pool).time_out(SHORT).start().unwrap();
    once(&monitoring, Status::Up, None).await;
    proxy.stall();
    once(&monitoring, Status::Down, Some(Reason::Timeout)).await;
    proxy.resume();
    once(&monitoring, Status::Up, None).await;
    proxy.refuse();
    proxy.cut();
    once(&monitoring, Status::Down, Some(Reason::ConnectionRefused)).await;
    proxy.accept();
    once(&monitoring, Status::Up, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_pool_that_is_exhausted_says_so() {
    let (_server, _proxy, pool) = redis(1);
    let held = pool.get().await.unwrap();
    let monitoring = monitoring();
    only(&monitoring, pool.clone()).time_out(SHORT).start().unwrap();
    once(&monitoring, Status::Down, Some(Reason::PoolExhausted)).await;
    drop(held);
    once(&monitoring, Status::Up, None).await;
    pool.close();
    once(&monitoring, Status::Down, Some(Reason::PoolClosed)).await;
}
