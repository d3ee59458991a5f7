//! Plans of slow statements.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use monitoring_sqlx::{ExplainSlow, SlowQueries};
use sqlx::Executor;
use sqlx::pool::PoolOptions;

use crate::{Bench, eventually};

/// The plans that are logged on this thread while it is held.
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

    fn plans(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        let is_plan = |line: &&str| line.contains("monitoring::slow_query") && line.contains("plan=");
        text.lines().filter(is_plan).map(str::to_owned).collect()
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

async fn bench(explain: ExplainSlow, options: PoolOptions<sqlx::Postgres>) -> Bench {
    let slow = SlowQueries::default().threshold(Duration::ZERO).explain(explain);
    Bench::set_up(|builder| builder.slow_queries(slow).options(options.min_connections(2))).await
}

fn always() -> ExplainSlow {
    ExplainSlow::default().at_most_every(Duration::from_millis(1))
}

#[tokio::test]
async fn the_plan_of_a_slow_select_is_told_without_its_conditions_and_is_no_operation() {
    let log = Log::new();
    let bench = bench(always(), PoolOptions::new()).await;
    eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
    (&bench.pool).fetch_all("SELECT name FROM item WHERE name = 'canary' AND id > 4711").await.unwrap();
    eventually("there is a plan", || !log.plans().is_empty()).await;

    let [plan] = log.plans().try_into().unwrap();
    for part in
        ["WARN", r#"db.query.summary="SELECT item""#, r#"db.client.connection.pool.name="postgres""#, " on item cost="]
    {
        assert!(plan.contains(part), "{part} is missing: {plan}");
    }
    assert!(!plan.contains("canary") && !plan.contains("4711"), "{plan}");
    assert_eq!(bench.count("SELECT", "item", ""), 1.0);
    assert_eq!(bench.count("EXPLAIN", "", "") + bench.count("EXPLAIN", "item", ""), 0.0);
}

#[tokio::test]
async fn only_a_select_without_arguments_is_explained() {
    let log = Log::new();
    let bench = bench(always(), PoolOptions::new()).await;
    eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item VALUES (1, 'one')").await.unwrap();
    sqlx::query("SELECT * FROM item WHERE id = $1").bind(1_i64).fetch_all(pool).await.unwrap();
    pool.fetch_all("WITH gone AS (DELETE FROM item RETURNING id) SELECT id FROM gone").await.unwrap();
    pool.fetch_all("SELECT * FROM item FOR UPDATE").await.unwrap();
    pool.fetch_all("SELECT 1; SELECT 2").await.unwrap();
    pool.fetch_all("SELECT nothing FROM item").await.unwrap_err();
    // The one that is explained comes last, until there is a connection to ask on.
    let deadline = Instant::now() + Duration::from_secs(10);
    while log.plans().is_empty() {
        assert!(Instant::now() < deadline, "there is no plan");
        pool.fetch_all("SELECT count(*) FROM item").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for plan in log.plans() {
        assert!(plan.contains("Aggregate"), "{plan}");
    }
}

#[tokio::test]
async fn plans_are_sampled() {
    let log = Log::new();
    let bench = bench(always().one_in(4), PoolOptions::new()).await;
    for _ in 0..8 {
        eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
        (&bench.pool).fetch_all("SELECT * FROM item").await.unwrap();
    }
    eventually("there are two plans", || log.plans().len() == 2).await;

    let log = Log::new();
    let hourly = ExplainSlow::default().at_most_every(Duration::from_secs(3_600));
    let bench = self::bench(hourly, PoolOptions::new()).await;
    for _ in 0..5 {
        eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
        (&bench.pool).fetch_all("SELECT * FROM item").await.unwrap();
    }
    eventually("there is a plan", || !log.plans().is_empty()).await;
    eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
    assert_eq!(log.plans().len(), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_plan() {
    let log = Log::new();
    let slow = SlowQueries::default().threshold(Duration::ZERO).explain(always());
    let options = PoolOptions::new().max_connections(1);
    let bench = Bench::set_up(|builder| builder.slow_queries(slow).options(options)).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    connection.fetch_all("SELECT * FROM item").await.unwrap();
    connection.fetch_all("SELECT * FROM item").await.unwrap();
    tokio::task::yield_now().await;
    drop(connection);
    (&bench.pool).execute("VALUES (1)").await.unwrap();
    assert!(log.plans().is_empty(), "there was no connection to ask on");
}

#[tokio::test]
async fn a_plan_that_does_not_come_in_time_is_given_up_with_its_connection() {
    let log = Log::new();
    let explain = always().time_out(Duration::from_millis(20));
    let slow = SlowQueries::default().threshold(Duration::ZERO).explain(explain);
    let bench = Bench::set_up(|builder| builder.slow_queries(slow)).await;
    drop((bench.pool.acquire().await.unwrap(), bench.pool.acquire().await.unwrap()));
    eventually("two connections are idle", || bench.pool.num_idle() == 2).await;
    let observer = sqlx::PgPool::connect(&bench.server.url()).await.unwrap();
    let mut holder = observer.begin().await.unwrap();
    holder.execute("LOCK TABLE item").await.unwrap();
    // Understood, slow, and ended by the lock that its plan has to wait for too.
    let mut connection = bench.pool.acquire().await.unwrap();
    connection.execute("SET lock_timeout = 10").await.unwrap();
    connection.fetch_all("SELECT * FROM item").await.unwrap_err();
    eventually("the plan is given up", || bench.pool.size() == 1 || !log.plans().is_empty()).await;
    assert!(log.plans().is_empty());
    holder.rollback().await.unwrap();
    connection.fetch_all("SELECT * FROM item").await.unwrap();
    drop(connection);
    (&bench.pool).execute("VALUES (1)").await.unwrap();
}
