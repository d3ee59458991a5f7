//! Rows of the catalogue of faults.
//!
//! E2: a query whose future is dropped. E7: secrets in statements, errors and addresses. E8: statements that are never the
//! same.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::poll_immediate;
use monitoring_core::Monitoring;
use monitoring_sqlx::{ExplainSlow, PgListener, PgPool, SlowQueries};
use monitoring_tests::Memory;
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::PostgreSql;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Executor, SqlStr};

struct Bench {
    monitoring: Monitoring,
    pool: PgPool,
    // Dropped after the pool.
    server: PostgreSql,
}

impl Bench {
    async fn new(slow: SlowQueries) -> Self {
        let server = PostgreSql::start().unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let builder = PgPool::builder().name("items").monitoring(&monitoring).unwrap().slow_queries(slow);
        let pool = builder.options(PoolOptions::new().max_connections(2)).connect(&server.url()).await.unwrap();
        let schema = "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT UNIQUE)";
        sqlx::raw_sql(schema).execute(pool.as_sqlx()).await.unwrap();
        Self { monitoring, pool, server }
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    fn count(&self, labels: &[(&str, &str)]) -> f64 {
        self.samples().sum("db_client_operation_duration_seconds_count", labels)
    }
}

#[tokio::test]
async fn e2_a_query_whose_future_is_dropped_is_cancelled_at_once_and_about_its_table() {
    let bench = Bench::new(SlowQueries::default().threshold(Duration::from_millis(20))).await;
    let wait = || sqlx::query("SELECT pg_sleep(1), * FROM item").fetch_all(&bench.pool);
    // Never understood so far: it is about no table that anybody knows.
    assert!(poll_immediate(wait()).await.is_none());
    let cancelled = [("db_operation_name", "SELECT"), ("error_type", "cancelled")];
    assert_eq!(bench.count(&cancelled), 1.0);
    assert!(!bench.monitoring.render().contains("item\""), "{}", bench.monitoring.render());

    // The table is empty, so nobody sleeps.
    wait().await.unwrap();
    (&bench.pool).execute("INSERT INTO item VALUES (1, 'one')").await.unwrap();
    tokio::time::timeout(Duration::from_millis(50), wait()).await.unwrap_err();
    let on_item = [("db_collection_name", "item"), ("error_type", "cancelled")];
    assert_eq!(bench.count(&on_item), 1.0);
    let samples = bench.samples();
    let took = samples.sum("db_client_operation_duration_seconds_sum", &on_item);
    assert!((0.02..1.0).contains(&took), "{took} s: neither the wait of the caller nor that of the database");
    let slow = [("db_query_summary", "SELECT item")];
    assert_eq!(samples.sum("saas_db_slow_queries_total", &slow), 1.0, "{}", bench.monitoring.render());

    // No connection is lost, and each serves the next query.
    for _ in 0..4 {
        (&bench.pool).execute("VALUES (1)").await.unwrap();
    }
    assert_eq!(bench.count(&[("db_operation_name", "VALUES")]), 4.0);
    assert_eq!(bench.samples().sum("db_client_connection_pending_requests", &[]), 0.0);
}

#[tokio::test]
async fn e2_a_stream_that_is_dropped_is_cancelled_and_gives_its_connection_back() {
    let bench = Bench::new(SlowQueries::default()).await;
    for _ in 0..4 {
        let mut rows = sqlx::query("SELECT generate_series(1, 100000)").fetch(&bench.pool);
        rows.try_next().await.unwrap().unwrap();
        drop(rows);
    }
    assert_eq!(bench.count(&[("db_operation_name", "SELECT"), ("error_type", "cancelled")]), 4.0);
    (&bench.pool).execute("VALUES (1)").await.unwrap();
    assert_eq!(bench.samples().sum("db_client_response_returned_rows_count", &[]), 0.0);
}

const CANARY: &str = "canary4711";

/// What our crates log on this thread while it is held, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn collect(&self) -> tracing::subscriber::DefaultGuard {
        use tracing_subscriber::layer::SubscriberExt as _;
        let sink = self.clone();
        // sqlx itself logs the statements that it executes, which is its user's to switch off.
        let ours = tracing_subscriber::EnvFilter::new("monitoring=trace,monitoring_core=trace,monitoring_sqlx=trace");
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || sink.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(ours).with(layer))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn e7_a_secret_in_statements_errors_and_addresses_is_seen_nowhere() {
    let log = Log::default();
    let _collected = log.collect();
    let explain = ExplainSlow::default().at_most_every(Duration::from_millis(1));
    let bench =
        Bench::new(SlowQueries::default().threshold(Duration::ZERO).events_per_minute(100_000).explain(explain)).await;
    let pool = &bench.pool;
    let mut seen = String::new();

    let statements = [
        "INSERT INTO item VALUES (4711, 'canary4711')",
        "INSERT INTO item VALUES (4712, 'canary4711')",
        "SELECT * FROM item WHERE name = 'canary4711' /* canary4711 */ -- canary4711",
        "SELECT * FROM item WHERE name = $$canary4711$$ OR name = E'\\'canary4711' OR name = U&'canary4711'",
        "SELECT 'canary4711' AS \"x\" FROM item ORDER BY id LIMIT 4711",
        "SELECT * FROM item WHERE name = canary4711",
        "SELECT * FROM canary4711",
        "SELECT canary4711('canary4711')",
        "SELECT 'canary4711'::int",
        "SELECT 1 WHERE 'canary4711",
        "canary4711",
        "UPDATE item SET name = 'canary4711' WHERE id = 4711 RETURNING 'canary4711'",
        "CREATE ROLE canary4711 PASSWORD 'canary4711'",
        "DROP TABLE IF EXISTS canary4711",
        "SET application_name = 'canary4711'",
        "SELECT set_config('app.key', 'canary4711', false)",
        "COMMENT ON TABLE item IS 'canary4711'",
        "DO $$ BEGIN RAISE EXCEPTION 'canary4711'; END $$",
        "NOTIFY canary4711, 'canary4711'",
        "SELECT 'canary4711'; SELECT 'canary4711'",
        "PREPARE canary4711 AS SELECT 'canary4711'",
        "WITH x AS (SELECT 'canary4711' AS y) SELECT count(*) FROM x WHERE y = 'canary4711'",
    ];
    for statement in statements {
        // What the database makes of it does not matter here.
        let _ = pool.execute(statement).await;
        let _ = pool.fetch_all(sqlx::query(statement)).await;
        let _ = pool.prepare(SqlStr::from_static(statement)).await;
    }
    let bound = "INSERT INTO item VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sqlx::query(bound).bind(4711_i64).bind(CANARY).execute(pool).await.unwrap();

    let mut connection = pool.acquire().await.unwrap();
    let _ =
        connection.copy_in_raw("COPY item FROM STDIN (FORMAT csv, NULL 'canary4711')", &b"4713,canary4711\n"[..]).await;
    write!(seen, "{connection:?} {:?}", &*connection).unwrap();
    drop(connection);
    let mut listener = PgListener::connect_with(pool).await.unwrap();
    listener.listen(CANARY).await.unwrap();
    (&bench.pool).execute("NOTIFY canary4711, 'canary4711'").await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), CANARY);
    write!(seen, "{listener:?}").unwrap();
    drop(listener);

    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("SELECT 'canary4711'").await.unwrap();
    write!(seen, "{transaction:?}").unwrap();
    transaction.rollback().await.unwrap();

    let options: PgConnectOptions = bench.server.url().parse().unwrap();
    let builder = PgPool::builder().monitoring(&bench.monitoring).unwrap().slow_queries(SlowQueries::default());
    write!(seen, "{builder:?}").unwrap();
    let intruder = builder.connect_lazy_with(options.username(CANARY).password(CANARY).application_name(CANARY));
    intruder.acquire().await.unwrap_err();
    write!(seen, "{intruder:?} {pool:?} {:?} {:?}", SlowQueries::default(), bench.monitoring).unwrap();
    // Plans are asked for in tasks of their own.
    let plans = tokio::time::timeout(Duration::from_secs(10), async {
        while !log.text().contains("plan=") {
            pool.fetch_all("SELECT * FROM item WHERE name = 'canary4711'").await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    plans.await.unwrap();

    let told = log.text();
    assert!(told.lines().filter(|line| line.contains("slow statement")).count() > statements.len(), "{told}");
    assert!(told.contains("SELECT * FROM item WHERE name = ?"), "{told}");
    seen.push_str(&told);
    seen.push_str(&bench.monitoring.render());
    let line = seen.lines().find(|line| line.contains("canary") || line.contains("4711"));
    assert_eq!(line, None);
}

#[tokio::test]
async fn e8_a_hundred_thousand_different_statements_leave_labels_and_memory_bounded() {
    let bench = Bench::new(SlowQueries::default()).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let fixed = "SELECT count(*) FROM item";
    connection.execute(fixed).await.unwrap();
    let mut memory = None;
    for number in 0..100_000 {
        // Each has a text, and but for its literal a form, that no other has.
        let statement = format!("SELECT {number} AS column_{number} FROM item AS item_{number}");
        let query = sqlx::raw_sql(AssertSqlSafe(statement));
        query.execute(&mut *connection).await.unwrap();
        if number == 20_000 {
            memory = Some(Memory::of_this_process().unwrap());
        }
        if number % 1_000 == 0 {
            connection.execute(fixed).await.unwrap();
        }
    }
    let growth = Memory::of_this_process().unwrap().growth_since(memory.unwrap());
    assert!(growth < 16 << 20, "{growth} bytes more after 80 000 statements more");

    let samples = bench.samples();
    let counts = samples.iter().filter(|(series, _)| series.name == "db_client_operation_duration_seconds_count");
    let series: Vec<_> = counts.map(|(series, count)| (series.to_string(), count)).collect();
    assert!(series.len() <= 2, "{series:?}");
    assert_eq!(series.iter().map(|(_, count)| count).sum::<f64>(), 100_101.0);
    // Statements past the budget lose their table, those that come again keep it.
    let on_item = bench.count(&[("db_operation_name", "SELECT"), ("db_collection_name", "item")]);
    assert!(on_item >= 2_048.0, "{on_item}");
    assert!(bench.monitoring.render().len() < 64 << 10);
}
