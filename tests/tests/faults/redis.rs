//! Redis restarts, loads, fails over, moves keys and falls silent (E9); its keys are nobody's business (E10).

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_redis::deadpool_redis::{ProtocolVersion, RedisConnectionInfo};
use monitoring_redis::redis::{AsyncCommands, Client, RedisResult, Value, cmd, pipe};
use monitoring_redis::{Cache, ClusterPool, Connection, Pool, PoolConfig, SentinelPool, Subscriber, Topology};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::{Redis, RedisCluster, RedisSentinel};
use monitoring_tests::{Fault, Proxy};
use tracing::level_filters::LevelFilter;

const DEADLINE: Duration = Duration::from_secs(60);
const CANARY: &str = "canary-5c2e";

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

/// A pool of one connection.
fn pool(monitoring: &Monitoring, url: String) -> Pool {
    let builder = Pool::builder().url(url).options(PoolConfig::new(1)).response_timeout(Duration::from_millis(200));
    builder.monitoring(monitoring).unwrap().build().unwrap()
}

/// A server behind a proxy, and a pool of one connection.
fn behind_proxy(monitoring: &Monitoring) -> (Redis, Proxy, Pool) {
    let server = Redis::start().unwrap();
    let proxy = Proxy::to(server.address()).unwrap();
    let pool = pool(monitoring, server.url_at(proxy.address()));
    (server, proxy, pool)
}

/// How many operations of that name ended with that error; with an empty one, how many succeeded.
fn count(monitoring: &Monitoring, name: &str, error: &str) -> f64 {
    let mut labels = vec![("db_system_name", "redis"), ("db_operation_name", name)];
    if !error.is_empty() {
        labels.push(("error_type", error));
    }
    samples(monitoring).value("db_client_operation_duration_seconds_count", &labels).unwrap_or(0.0)
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

fn created(monitoring: &Monitoring) -> f64 {
    let labels = [("db_client_connection_pool_name", "redis")];
    samples(monitoring).value("saas_db_connections_created_total", &labels).unwrap_or(0.0)
}

/// Nobody waits, and no connection counts as used.
fn assert_at_rest(monitoring: &Monitoring) {
    let samples = samples(monitoring);
    let used = [("db_client_connection_state", "used")];
    assert_eq!(samples.sum("db_client_connection_count", &used), 0.0);
    assert_eq!(samples.sum("db_client_connection_pending_requests", &[]), 0.0);
}

/// Tries until it gets a connection and the value of the key on it.
async fn recovered<T: Topology>(pool: &Pool<T>, key: &str) -> (Connection<T>, Option<String>) {
    let tried = async {
        loop {
            if let Ok(mut connection) = pool.get().await
                && let Ok(value) = connection.get(key).await
            {
                return (connection, value);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, tried).await.unwrap()
}

#[tokio::test]
async fn e9_a_restart_fails_the_first_command_and_then_the_pool_recovers() {
    let monitoring = monitoring();
    let mut server = Redis::start().unwrap();
    let pool = pool(&monitoring, server.url());
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", "1").await.unwrap();
    server.start_again_with("").unwrap();
    assert!(connection.get::<_, Value>("a").await.is_err());
    assert_eq!(count(&monitoring, "GET", "connection_lost"), 1.0);
    drop(connection);

    // The pool finds the broken connection itself: nobody else gets an error.
    let mut connection = pool.get().await.unwrap();
    assert_eq!(connection.get::<_, Option<String>>("a").await.unwrap(), None);
    drop(connection);
    assert_eq!((count(&monitoring, "GET", ""), count(&monitoring, "GET", "connection_lost")), (1.0, 1.0));
    assert_eq!(created(&monitoring), 2.0);
    assert_at_rest(&monitoring);
}

#[tokio::test]
async fn e9_a_server_that_is_loading_is_unavailable_until_it_has_loaded() {
    let monitoring = monitoring();
    let mut server = Redis::start_with("rdbcompression no").unwrap();
    let builder = Pool::builder().url(server.url()).response_timeout(DEADLINE).monitoring(&monitoring).unwrap();
    let pool = builder.build().unwrap();
    let mut connection = pool.get().await.unwrap();
    let mut fill = pipe();
    for key in 0..4_000 {
        fill.set(key, "x".repeat(1_024)).ignore();
    }
    fill.exec_async(&mut connection).await.unwrap();
    cmd("SAVE").exec_async(&mut connection).await.unwrap();
    drop(connection);
    // It looks at its connections after each kilobyte, that is, after each key, which takes it 10 ms.
    server.start_again_with("key-load-delay 10000\nloading-process-events-interval-bytes 1024").unwrap();

    let mut connection = pool.get().await.unwrap();
    let error = connection.get::<_, Value>("7").await.unwrap_err();
    assert_eq!(error.code(), Some("LOADING"), "{error}");
    assert!(pipe().get("7").exec_async(&mut connection).await.is_err());
    assert_eq!(count(&monitoring, "GET", "unavailable"), 1.0);
    assert_eq!(count(&monitoring, "PIPELINE", "unavailable"), 1.0);
    drop(connection);

    assert!(server.ask("CONFIG SET key-load-delay 0").unwrap().ends_with("+OK\r\n"));
    let (connection, value) = recovered(&pool, "7").await;
    assert_eq!(value.unwrap().len(), 1_024);
    drop(connection);
    assert_at_rest(&monitoring);
}

#[tokio::test]
async fn e9_a_failover_fails_the_first_command_and_then_the_new_master_is_used() {
    let monitoring = monitoring();
    let mut servers = RedisSentinel::start().unwrap();
    let login = RedisConnectionInfo {
        db: 0,
        username: None,
        password: Some(servers.password().to_owned()),
        protocol: ProtocolVersion::RESP2,
    };
    let builder = SentinelPool::sentinel([servers.url()], RedisSentinel::MASTER).server_login(login);
    let pool = builder.monitoring(&monitoring).unwrap().build().unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", "1").await.unwrap();
    while cmd("WAIT").arg(1).arg(100).query_async::<u64>(&mut connection).await.unwrap() == 0 {}

    servers.master().process().stop(DEADLINE);
    assert!(connection.get::<_, Value>("a").await.is_err());
    assert_eq!(count(&monitoring, "GET", "connection_lost"), 1.0);
    drop(connection);
    // Until there is a new master, nobody gets a connection, and each time that is seen.
    let mut refused = 0.0;
    while pool.get().await.is_err() {
        refused += 1.0;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let connects = [("db_operation_name", "CONNECT")];
    assert_eq!(samples(&monitoring).sum("db_client_operation_duration_seconds_count", &connects), refused);

    servers.wait_for_failover().unwrap();
    let (mut connection, value) = recovered(&pool, "a").await;
    assert_eq!(value.as_deref(), Some("1"));
    let _: () = connection.set("a", "2").await.unwrap();
    drop(connection);
    assert_eq!((count(&monitoring, "SET", ""), created(&monitoring)), (2.0, 2.0));
    assert_at_rest(&monitoring);
}

#[tokio::test]
async fn e9_a_moved_slot_is_followed_by_the_client_of_a_cluster_and_an_error_without_it() {
    /// Of the key `a`, by its CRC16: it belongs to the last node of three.
    const SLOT: u16 = 15_495;
    let monitoring = monitoring();
    let mut cluster = RedisCluster::start().unwrap();
    let builder = ClusterPool::cluster(cluster.urls()).response_timeout(Duration::from_secs(5));
    let pool = builder.monitoring(&monitoring).unwrap().build().unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: Option<String> = connection.get("a").await.unwrap();
    cluster.move_slot(SLOT, 0).unwrap();
    let _: Option<String> = connection.get("a").await.unwrap();
    assert_eq!((count(&monitoring, "GET", ""), count(&monitoring, "GET", "redirected")), (2.0, 0.0));

    let one = Pool::builder().url(cluster.nodes()[2].url()).monitoring(&monitoring).unwrap().build().unwrap();
    let error = one.get().await.unwrap().get::<_, Value>("a").await.unwrap_err();
    assert_eq!(error.code(), Some("MOVED"));
    assert_eq!((count(&monitoring, "GET", ""), count(&monitoring, "GET", "redirected")), (2.0, 1.0));
}

#[tokio::test]
async fn e9_each_command_on_a_half_open_connection_ends_by_its_deadline() {
    let monitoring = monitoring();
    let (_server, proxy, pool) = behind_proxy(&monitoring);
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", "1").await.unwrap();
    proxy.stall();
    for _command in 0..2 {
        assert!(connection.get::<_, Value>("a").await.unwrap_err().is_timeout());
    }
    let piped: RedisResult<Value> = pipe().get("a").query_async(&mut connection).await;
    assert!(piped.unwrap_err().is_timeout());
    drop(connection);
    assert_eq!((count(&monitoring, "GET", "timeout"), count(&monitoring, "PIPELINE", "timeout")), (2.0, 1.0));

    proxy.cut();
    proxy.resume();
    let (connection, value) = recovered(&pool, "a").await;
    assert_eq!(value.as_deref(), Some("1"));
    drop(connection);
    assert_at_rest(&monitoring);
}

#[tokio::test]
async fn e9_a_command_whose_reply_is_lost_is_an_error_and_is_not_sent_again() {
    let monitoring = monitoring();
    let (_server, proxy, pool) = behind_proxy(&monitoring);
    let mut connection = pool.get().await.unwrap();
    // Held, the reply cannot be faster than the cut.
    proxy.stall_replies();
    proxy.when_sent(b"visits", Fault::CutAfter);
    assert!(connection.incr::<_, _, u64>("visits", 1).await.is_err());
    proxy.resume();
    drop(connection);
    assert_eq!(count(&monitoring, "INCRBY", "connection_lost"), 1.0);

    // It was done all the same, and once.
    let (_connection, value) = recovered(&pool, "visits").await;
    assert_eq!(value.as_deref(), Some("1"));
}

#[tokio::test]
async fn e9_a_storm_of_new_connections_is_seen() {
    let monitoring = monitoring();
    let (_server, proxy, pool) = behind_proxy(&monitoring);
    for connections in 1..=5 {
        drop(recovered(&pool, "a").await);
        assert_eq!(created(&monitoring), f64::from(connections));
        proxy.cut();
    }
    proxy.refuse();
    assert!(pool.get().await.is_err());
    proxy.accept();
    drop(recovered(&pool, "a").await);
    assert_eq!((created(&monitoring), count(&monitoring, "CONNECT", "connection_refused")), (6.0, 1.0));
    assert_at_rest(&monitoring);
}

/// Where everything that is traced is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn e10_keys_get_to_the_server_and_nowhere_else() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone());
    let _traced = tracing::subscriber::set_default(subscriber.finish());
    tracing::info!("it is written");

    let monitoring = monitoring();
    let server = Redis::start().unwrap();
    let mut monitor =
        Client::open(server.url()).unwrap().get_async_monitor().await.unwrap().into_on_message::<String>();
    let pool = pool(&monitoring, server.url());
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let names: Cache<String> = Cache::builder("names").monitoring(&monitoring).unwrap().build(pool.clone()).unwrap();
    let text = |what: &str| format!("{CANARY}:{what}:user@example.org");
    let mut shown = String::new();
    async {
        let mut connection = pool.get().await.unwrap();
        let _: () = connection.set(text("key"), text("value")).await.unwrap();
        let _: Value =
            pipe().get(text("piped")).hset(text("hash"), text("field"), 1).query_async(&mut connection).await.unwrap();
        let _: Value = pipe().atomic().get(text("transaction")).query_async(&mut connection).await.unwrap();
        let failed = connection.lpush::<_, _, u64>(text("key"), text("element")).await.unwrap_err();
        let odd = cmd(&text("command")).arg(text("argument")).exec_async(&mut connection).await;
        assert!(odd.is_err() && failed.code() == Some("WRONGTYPE"));
        shown += &format!("{connection:?} {pool:?}");
        drop(connection);
        let kept = names.get_or_compute(&text("cached"), || async { Ok::<_, Infallible>(text("computed")) }).await;
        assert_eq!(kept, Ok(text("computed")));
        let mut subscriber =
            Subscriber::builder(server.url()).monitoring(&monitoring).unwrap().connect().await.unwrap();
        subscriber.subscribe(text("channel")).await.unwrap();
        shown += &format!("{names:?} {subscriber:?}");
    }
    .in_tenant(acme)
    .await;

    let mut sent = String::new();
    let all = ["key", "value", "piped", "hash", "field", "transaction", "element", "cached", "computed", "channel"];
    while !all.iter().all(|what| sent.contains(&text(what))) {
        sent += &tokio::time::timeout(DEADLINE, monitor.next()).await.unwrap().unwrap();
    }
    assert!(sent.contains(&format!("acme/names/{}", text("cached"))), "{sent}");

    let rendered = monitoring.render();
    let traced = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(traced.contains("it is written") && rendered.contains(r#"tenant="acme""#));
    for seen in [&rendered, &traced, &shown] {
        assert!(!seen.contains(CANARY) && !seen.contains("example.org"), "{seen}");
    }
    // Pipelines are counted, each as one, and what is on no list is one class.
    assert_eq!((count(&monitoring, "PIPELINE", ""), count(&monitoring, "MULTI", "")), (1.0, 1.0));
    assert_eq!(count(&monitoring, "_OTHER", "invalid_request"), 1.0);
}
