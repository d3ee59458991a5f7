//! The pool, and the ways in which there is no connection.

use std::time::Duration;

use futures_util::future::poll_immediate;
use monitoring_core::Monitoring;
use monitoring_redis::redis::{self, AsyncCommands, RedisResult, Value, pipe};
use monitoring_redis::{Pool, PoolError, TimeoutType, Timeouts};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::Redis;

use crate::bench::{Bench, CANARY, DEADLINE, connections, count, free_address, of_pool, pool};

#[tokio::test]
async fn a_shared_connection_goes_back_with_its_last_clone() {
    let bench = Bench::of_size(1);
    let one = bench.connection().await.into_shared();
    let (mut two, mut three) = (one.clone(), one.clone());
    drop(one);
    let (set, get): (RedisResult<()>, RedisResult<Option<String>>) = tokio::join!(two.set("a", "1"), three.get("a"));
    assert!(set.is_ok() && get.is_ok());
    drop(two);
    assert_eq!(bench.connections(), (0.0, 1.0));
    drop(three);

    assert_eq!(bench.connections(), (1.0, 0.0));
    assert_eq!(bench.of_pool("db_client_connection_use_time_seconds_count"), 1.0);
    assert_eq!((bench.count("SET", ""), bench.count("GET", "")), (1.0, 1.0));
}

#[tokio::test]
async fn a_server_that_dies_is_a_lost_connection_and_then_a_refused_one() {
    let mut bench = Bench::new();
    let mut connection = bench.connection().await;
    bench.server.process().stop(DEADLINE);
    assert!(connection.get::<_, Value>("a").await.is_err());
    drop(connection);
    let error = bench.pool.get().await.unwrap_err();
    assert!(matches!(error, PoolError::Connect { .. }), "{error}");

    assert_eq!(bench.count("GET", "connection_lost"), 1.0);
    assert_eq!(bench.count("CONNECT", "connection_refused"), 1.0);
    assert_eq!(bench.connections(), (0.0, 0.0));
}

#[tokio::test]
async fn a_missing_server_is_one_clear_error_and_counted() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let address = free_address();
    let pool = pool(&monitoring, &format!("redis://:{CANARY}@{address}/"), "cache", 1);
    let error = pool.get().await.unwrap_err().to_string();
    assert!(error.contains("the Redis pool `cache` cannot connect to"), "{error}");
    assert!(error.contains(&address) && error.contains("is the server running"), "{error}");
    assert!(!error.contains(CANARY), "{error}");

    let samples: Samples = monitoring.render().parse().unwrap();
    assert_eq!(count(&samples, "CONNECT", "connection_refused"), 1.0);
    assert_eq!(of_pool(&samples, "db_client_connection_pending_requests"), 0.0);
    assert_eq!(of_pool(&samples, "db_client_connection_timeouts_total"), 0.0);
    assert_eq!(connections(&samples), (0.0, 0.0));
}

#[tokio::test]
async fn a_wrong_password_is_a_failed_authentication() {
    let bench = Bench::new();
    let url = format!("redis://:{CANARY}@{}/", bench.server.address());
    let error = pool(&bench.monitoring, &url, "intruder", 1).get().await.unwrap_err().to_string();
    assert!(error.contains("password") && !error.contains(CANARY), "{error}");

    assert_eq!(bench.count("CONNECT", "authentication_failed"), 1.0);
}

#[tokio::test]
async fn an_exhausted_pool_makes_others_wait_and_then_time_out() {
    let bench = Bench::of_size(1);
    let held = bench.connection().await;
    let mut waiting = Box::pin(bench.pool.get());
    assert!(poll_immediate(&mut waiting).await.is_none());
    assert_eq!(bench.of_pool("db_client_connection_pending_requests"), 1.0);

    let error = bench.pool.timeout_get(&Timeouts::wait_millis(20)).await.unwrap_err();
    assert!(matches!(error, PoolError::Timeout { during: TimeoutType::Wait, .. }), "{error}");
    assert!(error.to_string().contains("raise `max_size`"), "{error}");
    assert_eq!(bench.of_pool("db_client_connection_timeouts_total"), 1.0);
    assert_eq!(bench.count("CONNECT", "pool_timeout"), 1.0);

    drop(held);
    drop(waiting.await.unwrap());
    assert_eq!(bench.of_pool("db_client_connection_pending_requests"), 0.0);
    assert_eq!(bench.of_pool("db_client_connection_wait_time_seconds_count"), 2.0);
    assert!(bench.of_pool("db_client_connection_wait_time_seconds_sum") > 0.02);
    assert_eq!(bench.of_pool("db_client_connection_use_time_seconds_count"), 2.0);
    assert!(bench.of_pool("db_client_connection_use_time_seconds_sum") > 0.02);
    assert_eq!(bench.operations(), 1.0);
}

#[tokio::test]
async fn a_dropped_wait_for_a_connection_is_cancelled_and_no_longer_pending() {
    let bench = Bench::of_size(1);
    let _held = bench.connection().await;
    assert!(poll_immediate(bench.pool.get()).await.is_none());

    assert_eq!(bench.count("CONNECT", "cancelled"), 1.0);
    assert_eq!(bench.of_pool("db_client_connection_pending_requests"), 0.0);
    assert_eq!(bench.of_pool("db_client_connection_wait_time_seconds_count"), 1.0);
}

#[tokio::test]
async fn a_closed_pool_gives_no_connection() {
    let bench = Bench::new();
    bench.pool.close();
    let error = bench.pool.get().await.unwrap_err();
    assert!(matches!(error, PoolError::Closed { .. }), "{error}");

    assert_eq!(bench.count("CONNECT", "pool_closed"), 1.0);
}

#[tokio::test]
async fn connections_are_counted_as_idle_or_used_until_the_pool_is_gone() {
    let bench = Bench::of_size(3);
    let max = |bench: &Bench| bench.of_pool("db_client_connection_max");
    assert_eq!((bench.connections(), max(&bench)), ((0.0, 0.0), 3.0));
    let (one, two) = (bench.connection().await, bench.connection().await);
    assert_eq!(bench.connections(), (0.0, 2.0));
    drop(one);
    assert_eq!(bench.connections(), (1.0, 1.0));
    bench.pool.resize(5);
    assert_eq!(max(&bench), 5.0);

    let namesake = pool(&bench.monitoring, &bench.server.url(), "cache", 2);
    let three = namesake.get().await.unwrap();
    assert_eq!((bench.connections(), max(&bench)), ((1.0, 2.0), 7.0));
    drop((two, three, namesake));
    assert_eq!((bench.connections(), max(&bench)), ((2.0, 0.0), 5.0));

    let Bench { monitoring, pool, server: _server } = bench;
    drop(pool);
    let samples: Samples = monitoring.render().parse().unwrap();
    assert_eq!((connections(&samples), of_pool(&samples, "db_client_connection_max")), ((0.0, 0.0), 0.0));
}

#[tokio::test]
async fn what_goes_past_the_wrapper_is_not_measured_but_its_connection_is_counted() {
    let bench = Bench::of_size(2);
    let mut inner = bench.connection().await.into_inner();
    let _: () = inner.set("a", 1).await.unwrap();
    let mut own = bench.pool.as_deadpool().get().await.unwrap();
    let _: () = own.set("a", 1).await.unwrap();

    assert_eq!(bench.operations(), 0.0);
    assert_eq!(bench.connections(), (0.0, 2.0));
    assert_eq!(bench.of_pool("db_client_connection_use_time_seconds_count"), 1.0);
    drop((inner, own));
    assert_eq!(bench.connections(), (2.0, 0.0));
}

#[tokio::test]
async fn a_pool_that_was_built_elsewhere_is_measured_with_its_own_settings() {
    let server = Redis::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let connection = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(20)));
    let manager = deadpool_redis::Manager::new_with_config(server.url(), connection).unwrap();
    let built = deadpool_redis::Pool::builder(manager).max_size(1).build().unwrap();
    let pool = Pool::builder().name("cache").monitoring(&monitoring).unwrap().wrap(built);
    let error = pool.get().await.unwrap().blpop::<_, Value>("nothing", 0.0).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // It has no runtime, so it cannot have time-outs.
    let refused = pool.timeout_get(&Timeouts::wait_millis(20)).await.unwrap_err();
    assert!(matches!(refused, PoolError::Refused { .. }), "{refused}");

    let samples: Samples = monitoring.render().parse().unwrap();
    assert_eq!(count(&samples, "BLPOP", "timeout"), 1.0);
    assert_eq!(count(&samples, "CONNECT", "_OTHER"), 1.0);
    assert_eq!(of_pool(&samples, "db_client_connection_max"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_at_once_are_all_counted_and_leave_nothing_in_flight() {
    const TASKS: usize = 64;
    let bench = Bench::of_size(4);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_task| {
            let pool = bench.pool.clone();
            tokio::spawn(async move {
                let mut connection = pool.get().await.unwrap();
                let _: () = connection.incr("a", 1).await.unwrap();
                pipe().get("a").exec_async(&mut connection).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }

    let tasks = TASKS as f64;
    assert_eq!((bench.count("INCRBY", ""), bench.count("PIPELINE", "")), (tasks, tasks));
    assert_eq!(bench.of_pool("db_client_connection_wait_time_seconds_count"), tasks);
    assert_eq!(bench.of_pool("db_client_connection_use_time_seconds_count"), tasks);
    assert_eq!(bench.of_pool("db_client_connection_pending_requests"), 0.0);
    assert_eq!(bench.connections().1, 0.0);
}

/// The only test of this program that installs: the others have a monitoring of their own.
#[tokio::test]
async fn a_pool_that_is_older_than_the_installation_is_measured_after_it() {
    let server = Redis::start().unwrap();
    let pool = Pool::from_url(&server.url()).unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", 1).await.unwrap();
    drop(connection);

    let monitoring = Monitoring::builder("test").install().unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", 1).await.unwrap();
    let samples: Samples = monitoring.render().parse().unwrap();
    assert_eq!(count(&samples, "SET", ""), 1.0);
    let used = [("db_client_connection_state", "used"), ("db_client_connection_pool_name", "redis")];
    assert_eq!(samples.value("db_client_connection_count", &used), Some(1.0));
}
