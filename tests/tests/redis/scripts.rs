//! Scripts, and connections that are measured without a pool.

use std::future::ready;

use monitoring_redis::Measured;
use monitoring_redis::redis::aio::ConnectionLike;
use monitoring_redis::redis::{AsyncCommands, Client, Cmd, Pipeline, RedisFuture, Script, Value, pipe};

use crate::bench::Bench;

#[tokio::test]
async fn a_script_that_the_server_does_not_know_yet_is_seen_loaded_and_run() {
    let bench = Bench::new();
    let mut connection = bench.connection().await;
    let double = Script::new("return ARGV[1] * 2");
    assert_eq!(double.arg(21).invoke_async::<i64>(&mut connection).await.unwrap(), 42);
    assert_eq!(double.arg(4).invoke_async::<i64>(&mut connection).await.unwrap(), 8);

    assert_eq!(bench.count("EVALSHA", "not_found"), 1.0);
    assert_eq!(bench.count("SCRIPT", ""), 1.0);
    assert_eq!(bench.count("EVALSHA", ""), 2.0);
    assert_eq!(bench.operations(), 4.0);
}

#[tokio::test]
async fn any_connection_can_be_measured() {
    let bench = Bench::new();
    let client = Client::open(bench.server.url()).unwrap();
    let bare = client.get_multiplexed_async_connection().await.unwrap();
    let mut connection = Measured::recorded_in(&bench.monitoring, bare, "sessions").unwrap();
    let _: () = connection.set("a", 1).await.unwrap();
    assert_eq!(connection.clone().get::<_, i64>("a").await.unwrap(), 1);
    let _: Value = pipe().get("a").query_async(&mut connection).await.unwrap();

    assert_eq!((bench.count("SET", ""), bench.count("GET", ""), bench.count("PIPELINE", "")), (1.0, 1.0, 1.0));
    assert_eq!(bench.lookups("__none__", "sessions"), (1.0, 0.0, 0.0));
    assert_eq!(connection.into_inner().get_db(), 0);
}

/// Answers nothing to everything, in this process.
struct Nothing;

impl ConnectionLike for Nothing {
    fn req_packed_command<'a>(&'a mut self, _command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(ready(Ok(Value::Nil)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn a_connection_that_answers_in_this_process_is_measured_too() {
    let bench = Bench::new();
    let mut connection = Measured::recorded_in(&bench.monitoring, Nothing, "nothing").unwrap();
    assert_eq!(connection.get::<_, Option<String>>("a").await.unwrap(), None);

    assert_eq!(bench.count("GET", ""), 1.0);
    assert_eq!(bench.lookups("__none__", "nothing"), (0.0, 1.0, 0.0));
}
