//! Commands, pipelines and transactions.

use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use monitoring_core::{TenantFutureExt, Tier};
use monitoring_redis::redis::aio::transaction_async;
use monitoring_redis::redis::{AsyncCommands, AsyncIter, RedisResult, Value, cmd, pipe};
use rustix::process::Signal;

use crate::bench::{Bench, CANARY};

#[tokio::test]
async fn each_command_is_counted_by_its_name() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let _: () = connection.set("greeting", "hello").await.unwrap();
    let _: () = connection.set("farewell", "bye").await.unwrap();
    assert_eq!(connection.get::<_, String>("greeting").await.unwrap(), "hello");
    let exists: bool = cmd("exists").arg("farewell").query_async(&mut connection).await.unwrap();
    assert!(exists);

    assert_eq!(bench.count("SET", ""), 2.0);
    assert_eq!(bench.count("GET", ""), 1.0);
    assert_eq!(bench.count("EXISTS", ""), 1.0);
    assert_eq!(bench.operations(), 4.0);
    let took = bench.samples().sum("db_client_operation_duration_seconds_sum", &[("db_operation_name", "SET")]);
    assert!(took > 0.0 && took < 10.0, "{took}");
}

#[tokio::test]
async fn each_round_of_a_scan_is_counted() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let mut fill = pipe();
    for key in 0..100 {
        fill.set(key, key).ignore();
    }
    fill.exec_async(&mut connection).await.unwrap();
    let scan = cmd("SCAN").cursor_arg(0).arg("COUNT").arg(10).take();
    let keys: AsyncIter<'_, u32> = scan.iter_async(&mut connection).await.unwrap();
    assert_eq!(keys.map(Result::unwrap).collect::<Vec<_>>().await.len(), 100);

    assert!(bench.count("SCAN", "") > 1.0);
}

#[tokio::test]
async fn a_pipeline_is_one_operation() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let (a, b): (i64, i64) =
        pipe().set("a", 1).ignore().incr("a", 1).incr("a", 1).query_async(&mut connection).await.unwrap();

    assert_eq!((a, b), (2, 3));
    assert_eq!(bench.count("PIPELINE", ""), 1.0);
    assert_eq!(bench.operations(), 1.0);
}

#[tokio::test]
async fn a_transaction_is_one_operation() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let (a,): (i64,) = pipe().atomic().set("a", 1).ignore().incr("a", 1).query_async(&mut connection).await.unwrap();

    assert_eq!(a, 2);
    assert_eq!(bench.count("MULTI", ""), 1.0);
    assert_eq!(bench.operations(), 1.0);
}

#[tokio::test]
async fn a_transaction_whose_watched_key_changes_is_a_conflict_and_its_retry_a_success() {
    let bench = Bench::new();
    let _: () = bench.connection().await.set("a", 1).await.unwrap();
    let mut interfered = false;
    let (a,): (i64,) =
        transaction_async(bench.connection().await.into_shared(), &["a"], |mut connection, mut pipeline| {
            let interfere = !std::mem::replace(&mut interfered, true);
            let pool = bench.pool.clone();
            async move {
                let value: i64 = connection.get("a").await?;
                if interfere {
                    let _: () = pool.get().await.unwrap().set("a", 10).await?;
                }
                pipeline.set("a", value + 1).ignore().get("a").query_async(&mut connection).await
            }
        })
        .await
        .unwrap();

    assert_eq!(a, 11);
    assert_eq!(bench.count("MULTI", "conflict"), 1.0);
    assert_eq!(bench.count("MULTI", ""), 1.0);
    assert_eq!(bench.count("WATCH", ""), 2.0);
}

#[tokio::test]
async fn an_error_reply_is_counted_by_its_class() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let _: () = connection.set("text", "x").await.unwrap();
    assert!(connection.lpush::<_, _, u64>("text", 1).await.is_err());
    assert!(cmd("FROBNICATE").exec_async(&mut connection).await.is_err());
    assert!(cmd("EVALSHA").arg("0".repeat(40)).arg(0).exec_async(&mut connection).await.is_err());
    // A script's own code is its author's text.
    let script = format!("return {{1, redis.error_reply('{CANARY} x')}}");
    assert!(cmd("EVAL").arg(script).arg(0).exec_async(&mut connection).await.is_err());

    assert_eq!(bench.count("LPUSH", "invalid_request"), 1.0);
    assert_eq!(bench.count("_OTHER", "invalid_request"), 1.0);
    assert_eq!(bench.count("EVALSHA", "not_found"), 1.0);
    assert_eq!(bench.count("EVAL", "_OTHER"), 1.0);
    assert!(!bench.monitoring.render().contains(CANARY));
}

#[tokio::test]
async fn an_error_within_a_pipeline_or_a_transaction_fails_it() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let _: () = connection.set("text", "x").await.unwrap();
    assert!(pipe().get("text").lpush("text", 1).exec_async(&mut connection).await.is_err());
    assert!(pipe().atomic().get("text").lpush("text", 1).exec_async(&mut connection).await.is_err());
    // Refused before EXEC: the number of arguments is wrong.
    assert!(pipe().atomic().cmd("GET").exec_async(&mut connection).await.is_err());
    // Errors that the caller wants to see one by one are errors all the same.
    let each: Vec<RedisResult<Value>> =
        pipe().ignore_errors().get("text").lpush("text", 1).query_async(&mut connection).await.unwrap();
    assert!(each[0].is_ok() && each[1].is_err());

    assert_eq!(bench.count("PIPELINE", "invalid_request"), 2.0);
    assert_eq!(bench.count("MULTI", "invalid_request"), 2.0);
    assert_eq!(bench.operations(), 5.0);
}

#[tokio::test]
async fn a_reply_of_another_type_than_asked_for_is_a_success() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let _: () = connection.set("text", "x").await.unwrap();
    assert!(connection.get::<_, u64>("text").await.is_err());

    assert_eq!(bench.count("GET", ""), 1.0);
}

#[tokio::test]
async fn a_dropped_request_is_counted_as_cancelled() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    assert!(poll_immediate(connection.blpop::<_, Value>("nothing", 0.0)).await.is_none());
    assert!(poll_immediate(pipe().get("a").query_async::<Value>(&mut connection)).await.is_none());
    // What was never polled was never sent.
    drop(connection.get::<_, Value>("a"));

    assert_eq!(bench.count("BLPOP", "cancelled"), 1.0);
    assert_eq!(bench.count("PIPELINE", "cancelled"), 1.0);
    assert_eq!(bench.operations(), 2.0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_timeout_and_recovers() {
    let mut bench = Bench::new();
    let mut connection = bench.connection().await;
    bench.signal(Signal::STOP);
    let error = connection.get::<_, Value>("a").await.unwrap_err();
    bench.signal(Signal::CONT);
    assert!(error.is_timeout(), "{error}");
    assert_eq!(connection.get::<_, Option<String>>("a").await.unwrap(), None);

    assert_eq!(bench.count("GET", "timeout"), 1.0);
    assert_eq!(bench.count("GET", ""), 1.0);
}

#[tokio::test]
async fn time_is_counted_for_the_tenant_in_whose_scope_the_request_runs() {
    let bench = Bench::of_size(1);
    let tenants = bench.monitoring.tenants();
    let acme = tenants.register("acme".parse().unwrap(), Tier::Enterprise).unwrap();
    let zeta = tenants.register("zeta".parse().unwrap(), Tier::Free).unwrap();
    let time = |tenant| {
        let labels = [("tenant", tenant), ("db_system_name", "redis")];
        bench.samples().value("saas_tenant_db_time_seconds_total", &labels)
    };
    let use_the_one_connection = || async {
        let mut connection = bench.connection().await;
        let _: () = connection.set("a", 1).await.unwrap();
        pipe().get("a").get("a").exec_async(&mut connection).await.unwrap();
    };

    use_the_one_connection().in_tenant(acme).await;
    let acme_alone = time("acme").unwrap();
    assert!(acme_alone > 0.0);
    assert_eq!((time("zeta"), time("__none__")), (None, None));

    use_the_one_connection().in_tenant(zeta).await;
    assert_eq!(time("acme"), Some(acme_alone), "the connection must not keep its last tenant");
    use_the_one_connection().await;
    let by_tenant = time("acme").unwrap() + time("zeta").unwrap() + time("__none__").unwrap();
    let of_all = bench.samples().sum("db_client_operation_duration_seconds_sum", &[]);
    assert!((by_tenant - of_all).abs() < 1e-6, "{by_tenant} {of_all}");
}

#[tokio::test]
async fn no_key_value_or_command_text_gets_into_the_metrics() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let text = || format!("{CANARY}:user@example.org");
    let _: () = connection.set(text(), text()).await.unwrap();
    let _: () = connection.hset(text() + "h", text(), text()).await.unwrap();
    pipe().atomic().set(text(), text()).get(text()).exec_async(&mut connection).await.unwrap();
    assert!(cmd(&text()).arg(text()).exec_async(&mut connection).await.is_err());
    assert!(cmd(&format!("GET {}", text())).exec_async(&mut connection).await.is_err());
    assert!(pipe().cmd(&text()).arg(text()).exec_async(&mut connection).await.is_err());
    assert!(cmd("AUTH").arg(text()).exec_async(&mut connection).await.is_err());
    assert!(poll_immediate(connection.blpop::<_, Value>(text() + "l", 0.0)).await.is_none());

    let rendered = bench.monitoring.render();
    assert!(rendered.contains("_OTHER"), "{rendered}");
    assert!(!rendered.contains(CANARY) && !rendered.contains("example.org"), "{rendered}");
    assert!(!format!("{connection:?} {:?}", bench.pool).contains(CANARY));
}
