//! Row E12 behind a pooler in transaction mode, where a connection of the server is one client's for a transaction only.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use monitoring_core::Monitoring;
use monitoring_sqlx::PgPool;
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::{PgBouncer, PostgreSql};
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;

/// After this a test says that something hangs. Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(connections: u32) -> PoolOptions<sqlx::Postgres> {
    PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE)
}

/// How many operations of a name ended in which way; with an empty one, well.
fn operations(monitoring: &Monitoring, name: &str) -> BTreeMap<String, f64> {
    let samples: Samples = monitoring.render().parse().unwrap();
    let mut counts = BTreeMap::new();
    for (series, count) in samples.iter() {
        let is_of_name = series.labels.get("db_operation_name").is_some_and(|label| label == name);
        if series.name == "db_client_operation_duration_seconds_count" && is_of_name {
            *counts.entry(series.labels.get("error_type").cloned().unwrap_or_default()).or_default() += count;
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_no_client_executes_the_statement_of_another_with_its_own_arguments() {
    const CLIENTS: i64 = 8;
    const ROUNDS: i64 = 40;
    let server = PostgreSql::start().unwrap();
    let pooler = PgBouncer::start(&server, 2).unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let database: PgConnectOptions = pooler.url().parse().unwrap();
    let pool = PgPool::builder()
        .transaction_pooler()
        .options(options(8))
        .monitoring(&monitoring)
        .unwrap()
        .connect_with(database.statement_cache_capacity(0))
        .await
        .unwrap();
    // Statements of the same shape, so that one executed for another would be no error, but another answer.
    let clients = (0..CLIENTS).map(|client| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let sql = format!("SELECT $1::BIGINT + {client} * 1000000, {client}::BIGINT");
            let ask = |round: i64| sqlx::query_as::<_, (i64, i64)>(sqlx::AssertSqlSafe(sql.clone())).bind(round);
            for round in 0..ROUNDS {
                let expected = (client * 1_000_000 + round, client);
                assert_eq!(ask(round).fetch_one(&pool).await.unwrap(), expected);
                assert_eq!(ask(round).fetch(&pool).try_collect::<Vec<_>>().await.unwrap(), [expected]);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let statements = 2.0 * (CLIENTS * ROUNDS) as f64;
    for name in ["BEGIN", "SELECT", "COMMIT"] {
        assert_eq!(operations(&monitoring, name), BTreeMap::from([(String::new(), statements)]), "{name}");
    }
}

#[tokio::test]
async fn e12_a_stream_that_is_not_read_to_its_end_is_undone_behind_a_pooler() {
    let server = PostgreSql::start().unwrap();
    let pooler = PgBouncer::start(&server, 1).unwrap();
    let database: PgConnectOptions = pooler.url().parse().unwrap();
    let database = database.statement_cache_capacity(0);
    let pool = PgPool::builder().transaction_pooler().options(options(1)).connect_with(database).await.unwrap();
    sqlx::query("CREATE TABLE item (id INT)").execute(&pool).await.unwrap();
    let items = async || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM item").fetch_one(&pool).await.unwrap();

    let insert = "INSERT INTO item SELECT generate_series(1, $1) RETURNING id";
    let mut rows = sqlx::query(insert).bind(3).fetch(&pool);
    assert!(rows.try_next().await.unwrap().is_some());
    drop(rows);
    assert_eq!(items().await, 0);
    assert_eq!(sqlx::query(insert).bind(3).fetch(&pool).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    assert_eq!(items().await, 3);

    // One that fails is undone, and no later one is in its transaction.
    sqlx::query("INSERT INTO item SELECT 1 / $1").bind(0).execute(&pool).await.unwrap_err();
    assert_eq!(items().await, 3);
    // What cannot be in a transaction has a way past it.
    sqlx::query("VACUUM item").execute(&pool).await.unwrap_err();
    sqlx::raw_sql("VACUUM item").execute(&mut *pool.acquire().await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn e12_statements_that_are_prepared_by_name_are_refused_behind_a_pooler_by_a_clear_class() {
    let server = PostgreSql::start().unwrap();
    let pooler = PgBouncer::start(&server, 1).unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let builder = || PgPool::builder().options(options(1)).monitoring(&monitoring).unwrap();
    let (one, two) = (builder().connect(pooler.url()).await.unwrap(), builder().connect(pooler.url()).await.unwrap());

    // Both call their first statement the same, and share the connection of the server.
    sqlx::query("SELECT $1").bind(1).execute(&one).await.unwrap();
    let error = sqlx::query("SELECT $1").bind("two").execute(&two).await.unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
    assert_eq!(code, "42P05", "{error}");

    // What the first has prepared is gone with the connection of the server, or with a `DEALLOCATE` of anybody's.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&two).await.unwrap();
    let error = sqlx::query("SELECT $1").bind(1).execute(&one).await.unwrap_err();
    assert_eq!(error.as_database_error().and_then(|error| error.code()).unwrap(), "26000", "{error}");
    let expected = [(String::new(), 1.0), ("invalid_request".to_owned(), 2.0)];
    assert_eq!(operations(&monitoring, "SELECT"), BTreeMap::from(expected));
}
