//! A cluster, and a master that Sentinel names.

use std::time::Duration;

use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_redis::deadpool_redis::{ProtocolVersion, RedisConnectionInfo};
use monitoring_redis::redis::{AsyncCommands, Value, pipe};
use monitoring_redis::{Cache, ClusterPool, PoolBuilder, PoolConfig, PoolError, Sentinel, SentinelPool};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::{RedisCluster, RedisSentinel};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{DEADLINE, connections, count, of_pool};

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

fn cluster_pool(monitoring: &Monitoring, cluster: &RedisCluster) -> ClusterPool {
    let builder = ClusterPool::cluster(cluster.urls()).name("cache").options(PoolConfig::new(2));
    builder.response_timeout(Duration::from_secs(5)).monitoring(monitoring).unwrap().build().unwrap()
}

#[tokio::test]
async fn a_cluster_is_measured_as_one_server_is() {
    let cluster = RedisCluster::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let pool = cluster_pool(&monitoring, &cluster);
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    async {
        let mut connection = pool.get().await.unwrap();
        for key in ["a", "b", "c", "d"] {
            let _: () = connection.set(key, key).await.unwrap();
        }
        let values: Vec<Option<String>> = connection.mget(&["a", "b", "nothing"]).await.unwrap();
        assert_eq!(values, [Some("a".to_owned()), Some("b".to_owned()), None]);
        let (one, two): (i64, i64) = pipe().incr("{n}", 1).incr("{n}", 1).query_async(&mut connection).await.unwrap();
        assert_eq!((one, two), (1, 2));
        // Keys of two nodes in one transaction.
        assert!(pipe().atomic().get("a").get("b").exec_async(&mut connection).await.is_err());
        let mut shared = connection.into_shared();
        let _: String = shared.clone().get("c").await.unwrap();
        let _: String = shared.get("d").await.unwrap();
    }
    .in_tenant(acme)
    .await;

    let numbers = samples(&monitoring);
    assert_eq!((count(&numbers, "SET", ""), count(&numbers, "MGET", ""), count(&numbers, "GET", "")), (4.0, 1.0, 2.0));
    assert_eq!((count(&numbers, "PIPELINE", ""), count(&numbers, "MULTI", "invalid_request")), (1.0, 1.0));
    let hits = |result| [("tenant", "acme"), ("cache", "cache"), ("result", result)];
    assert_eq!(numbers.value("saas_cache_requests_total", &hits("hit")), Some(4.0));
    assert_eq!(numbers.value("saas_cache_requests_total", &hits("miss")), Some(1.0));
    assert_eq!(of_pool(&numbers, "saas_db_connections_created_total"), 1.0);
    assert_eq!((connections(&numbers), of_pool(&numbers, "db_client_connection_max")), ((1.0, 0.0), 2.0));
    assert!(numbers.sum("saas_tenant_db_time_seconds_total", &[("tenant", "acme")]) > 0.0);
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_is_a_timeout() {
    let mut cluster = RedisCluster::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let builder = ClusterPool::cluster(cluster.urls()).response_timeout(Duration::from_millis(200));
    let pool = builder.monitoring(&monitoring).unwrap().build().unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: Option<String> = connection.get("a").await.unwrap();
    // By its CRC16, the key belongs to the last node.
    let owner = Pid::from_raw(cluster.nodes()[2].process().id().try_into().unwrap()).unwrap();
    kill_process(owner, Signal::STOP).unwrap();
    let error = connection.get::<_, Value>("a").await.unwrap_err();
    kill_process(owner, Signal::CONT).unwrap();
    assert!(error.is_timeout(), "{error}");

    assert_eq!(count(&samples(&monitoring), "GET", "timeout"), 1.0);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_one_clear_error() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let addresses = [crate::bench::free_address(), crate::bench::free_address()];
    let urls = addresses.iter().map(|address| format!("redis://:secret@{address}/"));
    let pool = ClusterPool::cluster(urls).monitoring(&monitoring).unwrap().build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, PoolError::Connect { .. }), "{error}");
    let text = error.to_string();
    assert!(addresses.iter().all(|address| text.contains(address)) && !text.contains("secret"), "{text}");

    assert_eq!(samples(&monitoring).sum("db_client_operation_duration_seconds_count", &[]), 1.0);
}

#[tokio::test]
async fn a_cache_works_on_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let builder = Cache::builder("names").timeout(DEADLINE).monitoring(&monitoring).unwrap();
    let names: Cache<String, _> = builder.build(cluster_pool(&monitoring, &cluster)).unwrap();
    for key in ["a", "b", "c", "d"] {
        let value = || async { Ok::<_, std::convert::Infallible>(key.to_owned()) };
        assert_eq!(names.get_or_compute(key, value).in_tenant(acme).await.unwrap(), key);
        assert_eq!(names.get(key).in_tenant(acme).await.as_deref(), Some(key));
    }
}

fn sentinel_pool(monitoring: &Monitoring, servers: &RedisSentinel, name: &str) -> PoolBuilder<Sentinel> {
    let login = RedisConnectionInfo {
        db: 0,
        username: None,
        password: Some(servers.password().to_owned()),
        protocol: ProtocolVersion::RESP2,
    };
    let builder = SentinelPool::sentinel([servers.url()], RedisSentinel::MASTER).name(name).server_login(login);
    builder.options(PoolConfig::new(2)).monitoring(monitoring).unwrap()
}

#[tokio::test]
async fn a_pool_by_sentinel_is_one_of_the_master() {
    let servers = RedisSentinel::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let pool = sentinel_pool(&monitoring, &servers, "cache").build().unwrap();
    let mut connection = pool.get().await.unwrap();
    let _: () = connection.set("a", "1").await.unwrap();
    assert_eq!(connection.get::<_, String>("a").await.unwrap(), "1");

    let numbers = samples(&monitoring);
    assert_eq!((count(&numbers, "SET", ""), count(&numbers, "GET", "")), (1.0, 1.0));
    assert_eq!(of_pool(&numbers, "saas_db_connections_created_total"), 1.0);
}

#[tokio::test]
async fn a_write_to_a_replica_is_counted_as_read_only() {
    let servers = RedisSentinel::start().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let pool = sentinel_pool(&monitoring, &servers, "replicas").replicas().build().unwrap();
    let mut connection = pool.get().await.unwrap();
    assert!(connection.set::<_, _, ()>("a", "1").await.is_err());
    let _: Option<String> = connection.get("a").await.unwrap();

    assert_eq!(count(&samples(&monitoring), "SET", "read_only"), 1.0);
    assert_eq!(count(&samples(&monitoring), "GET", ""), 1.0);
}

#[tokio::test]
async fn sentinels_that_are_not_there_are_one_clear_error() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let address = crate::bench::free_address();
    let builder = SentinelPool::sentinel([format!("redis://:secret@{address}/")], "mymaster");
    let pool = builder.monitoring(&monitoring).unwrap().build().unwrap();
    let error = pool.get().await.unwrap_err().to_string();
    assert!(error.contains(&format!("`mymaster` by the sentinels at {address}")), "{error}");
    assert!(!error.contains("secret"), "{error}");

    assert_eq!(samples(&monitoring).sum("db_client_operation_duration_seconds_count", &[]), 1.0);
}
