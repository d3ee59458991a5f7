//! What is told of statements: their table, their rows, and that they were slow.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_sqlx::{PoolBuilder, SlowQueries, SqlitePool};
use sqlx::pool::PoolOptions;
use sqlx::{AssertSqlSafe, Executor, Sqlite};

use crate::Bench;

impl Bench {
    /// With a pool that is set up further by `set_up`.
    async fn set_up(set_up: impl FnOnce(PoolBuilder<Sqlite>) -> PoolBuilder<Sqlite>) -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = SqlitePool::builder().name("items").monitoring(&monitoring).unwrap();
        let builder = set_up(builder.options(PoolOptions::new().max_connections(1)));
        let pool = builder.connect("sqlite::memory:").await.unwrap();
        let schema = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE other (id INTEGER)";
        sqlx::raw_sql(schema).execute(pool.as_sqlx()).await.unwrap();
        Self { monitoring, pool }
    }

    fn on(&self, operation: &str, collection: &str) -> f64 {
        let labels = [("db_operation_name", operation), ("db_collection_name", collection)];
        self.samples().sum("db_client_operation_duration_seconds_count", &labels)
    }

    fn rows(&self, which: &str, collection: &str) -> f64 {
        let labels = [("db_system_name", "sqlite"), ("db_collection_name", collection)];
        self.samples().sum(&format!("db_client_response_returned_rows_{which}"), &labels)
    }

    fn slow(&self, tenant: &str, summary: &str) -> f64 {
        let labels = [("tenant", tenant), ("db_system_name", "sqlite"), ("db_query_summary", summary)];
        self.samples().value("saas_db_slow_queries_total", &labels).unwrap_or(0.0)
    }
}

/// All that is logged on this thread while it is held.
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Log {
    fn new() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        Self { text, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    fn slow_queries(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("monitoring::slow_query")).map(str::to_owned).collect()
    }
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_operation_is_about_its_table_if_it_has_one() {
    let bench = Bench::set_up(|builder| builder).await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item (name) VALUES ('one'), ('two')").await.unwrap();
    pool.fetch_all("SELECT * FROM main.item").await.unwrap();
    pool.fetch_all("WITH x AS (SELECT 1) SELECT * FROM item, x").await.unwrap();
    pool.fetch_all("SELECT * FROM item JOIN other ON item.id = other.id").await.unwrap();
    pool.execute("SELECT * FROM item; SELECT * FROM item").await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("DELETE FROM other").await.unwrap();
    transaction.commit().await.unwrap();

    assert_eq!(bench.on("INSERT", "item"), 1.0);
    assert_eq!(bench.on("SELECT", "item"), 2.0);
    assert_eq!(bench.on("DELETE", "other"), 1.0);
    bench.assert_operations(&[("INSERT", 1), ("SELECT", 4), ("DELETE", 1), ("BEGIN", 1), ("COMMIT", 1)]);
    let named = bench.samples();
    let named = named.iter().filter(|(series, _)| series.name.ends_with("seconds_count"));
    let named = named.filter(|(series, _)| series.labels.contains_key("db_collection_name")).count();
    assert_eq!(named, 3);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_no_label() {
    let bench = Bench::set_up(|builder| builder).await;
    bench.pool.execute("SELECT * FROM canary").await.unwrap_err();
    bench.pool.execute("SELECT canary FROM item").await.unwrap_err();
    assert!(!bench.monitoring.render().contains("canary"));
    // Once the database has understood the statement, its failures are about the table too.
    bench.pool.execute("INSERT INTO item (id) VALUES (7)").await.unwrap();
    bench.pool.execute("INSERT INTO item (id) VALUES (7)").await.unwrap_err();
    let labels = [("db_collection_name", "item"), ("error_type", "constraint_violation")];
    assert_eq!(bench.samples().sum("db_client_operation_duration_seconds_count", &labels), 1.0);
}

#[tokio::test]
async fn tables_past_the_limit_are_other_ones() {
    let bench = Bench::set_up(|builder| builder.max_collections(1)).await;
    for statement in ["SELECT * FROM other", "SELECT * FROM item", "SELECT id FROM other"] {
        bench.pool.execute(statement).await.unwrap();
    }
    assert_eq!(bench.on("SELECT", "other"), 2.0);
    assert_eq!(bench.on("SELECT", "_OTHER"), 1.0);
}

#[tokio::test]
async fn rows_are_counted_however_they_are_asked_for() {
    let bench = Bench::set_up(|builder| builder).await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item (name) VALUES ('a'), ('b'), ('c'), ('d')").await.unwrap();
    assert_eq!(bench.rows("count", "item"), 0.0, "nobody asked for rows");

    pool.fetch_all("SELECT * FROM item").await.unwrap();
    assert_eq!((bench.rows("count", "item"), bench.rows("sum", "item")), (1.0, 4.0));
    pool.fetch_one("SELECT * FROM item").await.unwrap();
    assert_eq!((bench.rows("count", "item"), bench.rows("sum", "item")), (2.0, 5.0));
    pool.fetch_optional("SELECT * FROM item WHERE id = 0").await.unwrap();
    pool.fetch_one("SELECT * FROM item WHERE id = 0").await.unwrap_err();
    assert_eq!((bench.rows("count", "item"), bench.rows("sum", "item")), (4.0, 5.0));

    let rows: Vec<_> = pool.fetch("SELECT * FROM item WHERE id > 1").try_collect().await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!((bench.rows("count", "item"), bench.rows("sum", "item")), (5.0, 8.0));
    let mut connection = pool.acquire().await.unwrap();
    let steps: Vec<_> = connection.fetch_many("SELECT * FROM item").try_collect().await.unwrap();
    assert_eq!(steps.len(), 5, "four rows and a result");
    assert_eq!((bench.rows("count", "item"), bench.rows("sum", "item")), (6.0, 12.0));

    // How many there would have been is not known.
    let mut rows = connection.fetch("SELECT * FROM item");
    rows.try_next().await.unwrap();
    drop(rows);
    assert_eq!(bench.rows("count", "item"), 6.0);
}

#[tokio::test]
async fn a_slow_statement_is_counted_for_its_tenant_and_told_without_its_literals() {
    let log = Log::new();
    let slow = SlowQueries::off().threshold_of("SELECT", Duration::ZERO);
    let bench = Bench::set_up(|builder| builder.slow_queries(slow)).await;
    let acme = bench.monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let work = async {
        (&bench.pool).execute("INSERT INTO item (name) VALUES ('canary')").await.unwrap();
        let query = sqlx::query("SELECT id FROM item WHERE name = 'canary' AND id <> ? /* canary */").bind(4711);
        query.fetch_all(&bench.pool).await.unwrap();
    };
    work.in_tenant(acme).await;

    assert_eq!(bench.slow("acme", "SELECT item"), 1.0);
    assert_eq!(bench.samples().sum("saas_db_slow_queries_total", &[]), 1.0);
    let [event] = log.slow_queries().try_into().unwrap();
    for part in [
        "WARN",
        r#"db.system.name="sqlite""#,
        r#"db.operation.name="SELECT""#,
        r#"db.query.summary="SELECT item""#,
        r#"db.query.text="SELECT id FROM item WHERE name = ? AND id <> ?""#,
        "db.response.returned_rows=1",
        r#"saas.tenant.id="acme""#,
        r#"db.client.connection.pool.name="items""#,
        "suppressed=0",
    ] {
        assert!(event.contains(part), "{part} is missing: {event}");
    }
    assert!(!event.contains("canary") && !event.contains("4711"), "{event}");
}

#[tokio::test]
async fn a_slow_statement_that_was_never_understood_is_told_by_its_operation_alone() {
    let log = Log::new();
    let bench = Bench::set_up(|builder| builder.slow_queries(SlowQueries::default().threshold(Duration::ZERO))).await;
    bench.pool.execute("SELECT * FROM item WHERE name = canary").await.unwrap_err();
    assert_eq!(bench.slow("__none__", "SELECT"), 1.0);
    let [event] = log.slow_queries().try_into().unwrap();
    assert!(
        event.contains(r#"db.query.summary="SELECT" "#) && event.contains(r#"error.type="invalid_request""#),
        "{event}"
    );
    assert!(!event.contains("db.query.text") && !event.contains("canary"), "{event}");
}

#[tokio::test]
async fn events_are_limited_and_what_is_left_out_is_counted() {
    let log = Log::new();
    let slow = SlowQueries::default().threshold(Duration::ZERO).events_per_minute(2);
    let bench = Bench::set_up(|builder| builder.slow_queries(slow)).await;
    for _ in 0..50 {
        bench.pool.execute("SELECT * FROM item").await.unwrap();
    }
    assert_eq!(bench.slow("__none__", "SELECT item"), 50.0);
    // Two at once; a third one only if the test takes half a minute.
    assert_eq!(log.slow_queries().len(), 2);

    let bench = Bench::set_up(|builder| {
        builder.slow_queries(SlowQueries::default().threshold(Duration::ZERO).events_per_minute(0))
    })
    .await;
    bench.pool.execute("SELECT * FROM item").await.unwrap();
    assert_eq!(bench.slow("__none__", "SELECT item"), 1.0);
    assert_eq!(log.slow_queries().len(), 2);
}

#[tokio::test]
async fn a_statement_that_is_fast_enough_is_not_slow() {
    let log = Log::new();
    let bench = Bench::set_up(|builder| builder.slow_queries(SlowQueries::off())).await;
    bench.pool.execute("SELECT * FROM item").await.unwrap();
    assert_eq!(bench.samples().sum("saas_db_slow_queries_total", &[]), 0.0);
    assert_eq!(log.slow_queries().len(), 0);
}

#[tokio::test]
async fn a_prepared_statement_is_about_its_table() {
    let bench = Bench::set_up(|builder| builder).await;
    (&bench.pool).prepare(sqlx::SqlStr::from_static("SELECT * FROM item")).await.unwrap();
    assert_eq!(bench.on("PREPARE", "item"), 1.0);
}

#[tokio::test]
async fn a_statement_that_is_made_when_the_program_runs_is_read_as_any_other() {
    let bench = Bench::set_up(|builder| builder).await;
    for number in 0..100 {
        let statement = format!("SELECT * FROM item WHERE id = {number}");
        sqlx::query(AssertSqlSafe(statement)).fetch_all(&bench.pool).await.unwrap();
    }
    assert_eq!(bench.on("SELECT", "item"), 100.0);
}
