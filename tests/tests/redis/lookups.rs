//! What was there and what was not, by the reply.

use monitoring_core::TenantFutureExt;
use monitoring_redis::redis::{AsyncCommands, Value, cmd, pipe};
use monitoring_redis::{Pool, PoolConfig};

use crate::bench::Bench;

#[tokio::test]
async fn a_reply_tells_whether_a_key_was_there() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    async {
        let mut connection = bench.connection().await;
        let _: () = connection.mset(&[("a", "1"), ("b", "2")]).await.unwrap();
        let _: () = connection.hset("h", "field", "3").await.unwrap();
        let _: Value = connection.get("a").await.unwrap();
        let _: Value = connection.get("nothing").await.unwrap();
        let _: Value = connection.mget(&["a", "nothing", "b"]).await.unwrap();
        let _: Value = connection.hget("h", "nothing").await.unwrap();
        let _: Value = connection.hmget("h", &["field", "nothing"]).await.unwrap();
        let _: Value = connection.get_del("b").await.unwrap();
        assert!(connection.get::<_, Value>("h").await.is_err());
        assert!(connection.exists::<_, bool>("a").await.unwrap());
    }
    .in_tenant(acme)
    .await;

    assert_eq!(bench.lookups("acme", "cache"), (5.0, 4.0, 1.0));
}

#[tokio::test]
async fn pipelines_are_not_looked_into_for_hits() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let _: Value = pipe().get("a").get("b").query_async(&mut connection).await.unwrap();
    // Within a transaction that is sent command by command, the reply is only that the command is queued.
    cmd("MULTI").exec_async(&mut connection).await.unwrap();
    let _: Value = connection.get("a").await.unwrap();
    let _: Value = cmd("EXEC").query_async(&mut connection).await.unwrap();

    assert_eq!(bench.samples().sum("saas_cache_requests_total", &[]), 0.0);
}

#[tokio::test]
async fn a_pool_that_is_no_cache_counts_no_hits() {
    let bench = Bench::new();
    let builder = Pool::builder().url(bench.server.url()).name("locks").options(PoolConfig::new(1));
    let locks = builder.monitoring(&bench.monitoring).unwrap().without_hits().build().unwrap();
    let _: Value = locks.get().await.unwrap().get("a").await.unwrap();

    assert_eq!(bench.count("GET", ""), 1.0);
    assert_eq!(bench.samples().sum("saas_cache_requests_total", &[]), 0.0);
}

#[tokio::test]
async fn each_connection_that_is_made_is_counted_once() {
    let bench = Bench::of_size(2);
    let (one, two) = (bench.connection().await, bench.connection().await);
    drop((one, two));
    drop(bench.connection().await);

    assert_eq!(bench.of_pool("saas_db_connections_created_total"), 2.0);
}
