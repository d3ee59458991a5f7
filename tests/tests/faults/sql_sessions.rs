//! Rows E1-E6: pools, transactions, servers that stop.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use monitoring_core::Monitoring;
use monitoring_sqlx::{PgPool, PoolBuilder};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::servers::PostgreSql;
use monitoring_tests::{Fault, Proxy};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Postgres};
use tokio::time::timeout;

/// After this a test says that something hangs. Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
const BRIEF: Duration = Duration::from_millis(50);

struct Bench {
    monitoring: Monitoring,
    server: PostgreSql,
    proxy: Proxy,
    pool: PgPool,
}

impl Bench {
    /// A pool of one connection, through a proxy.
    async fn start() -> Self {
        Self::with(PoolOptions::new().max_connections(1).acquire_timeout(PATIENCE), |builder| builder).await
    }

    async fn with(
        options: PoolOptions<Postgres>,
        configure: impl FnOnce(PoolBuilder<Postgres>) -> PoolBuilder<Postgres>,
    ) -> Self {
        let server = PostgreSql::start().unwrap();
        let proxy = Proxy::to(server.address()).unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let url = server.url().replace(&server.address().to_string(), &proxy.address().to_string());
        let builder = PgPool::builder().name("shop").options(options).monitoring(&monitoring).unwrap();
        let pool = configure(builder).connect(&url).await.unwrap();
        sqlx::raw_sql("CREATE TABLE item (id INT PRIMARY KEY, tenant_id TEXT)").execute(&pool).await.unwrap();
        Self { monitoring, server, proxy, pool }
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// How many operations of that name ended with that error; with an empty one, how many succeeded.
    fn count(&self, name: &str, error: &str) -> f64 {
        let samples = self.samples();
        let counts = samples.iter().filter(|(series, _)| series.name == "db_client_operation_duration_seconds_count");
        let label = |series: &Series, label: &str| series.labels.get(label).cloned().unwrap_or_default();
        counts
            .filter(|(series, _)| label(series, "db_operation_name") == name && label(series, "error_type") == error)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many transactions ended so.
    fn transactions(&self, outcome: &str) -> f64 {
        self.samples().sum("saas_db_transaction_duration_seconds_count", &[("outcome", outcome)])
    }

    fn pool(&self, metric: &str) -> f64 {
        self.samples().sum(&format!("db_client_connection_{metric}"), &[("db_client_connection_pool_name", "shop")])
    }

    fn connections(&self, state: &str) -> f64 {
        self.samples().sum("db_client_connection_count", &[("db_client_connection_state", state)])
    }

    /// How many items there are, seen by a connection of its own.
    async fn items(&self) -> i64 {
        let options: PgConnectOptions = self.server.url().parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(&mut connection).await.unwrap()
    }

    fn signal(&mut self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.server.process().id()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
    }
}

/// One connection, and a second to wait for it.
fn impatient() -> PoolOptions<Postgres> {
    PoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(1))
}

async fn insert(executor: impl sqlx::Executor<'_, Database = Postgres>, id: i32) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO item (id) VALUES ($1)").bind(id).execute(executor).await.map(drop)
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn e1_the_wait_for_a_connection_is_no_time_of_the_statement_and_a_time_out_is_told() {
    let bench = Bench::with(impatient(), |builder| builder).await;
    let held = bench.pool.acquire().await.unwrap();
    let error = insert(&bench.pool, 1).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    assert_eq!(bench.count("INSERT", "pool_timeout"), 1.0);
    let failed = [("db_operation_name", "INSERT"), ("error_type", "pool_timeout")];
    assert_eq!(bench.samples().sum("db_client_operation_duration_seconds_sum", &failed), 0.0);
    assert_eq!(bench.pool("timeouts_total"), 1.0);
    assert_eq!(bench.pool("pending_requests"), 0.0);
    assert_eq!((bench.connections("used"), bench.pool("max")), (1.0, 1.0));
    drop(held);
    insert(&bench.pool, 1).await.unwrap();
    assert_eq!(bench.count("INSERT", ""), 1.0);
}

#[tokio::test]
async fn e1_who_waits_and_gets_a_connection_has_a_wait_and_a_statement_one_after_the_other() {
    let bench = Bench::start().await;
    let held = bench.pool.acquire().await.unwrap();
    let sums = || {
        let waits = bench.samples().sum("db_client_connection_wait_time_seconds_sum", &[]);
        let inserts = [("db_operation_name", "INSERT")];
        (waits, bench.samples().sum("db_client_operation_duration_seconds_sum", &inserts))
    };
    let (before, none) = sums();
    assert_eq!(none, 0.0);

    let hold = Duration::from_millis(300);
    let start = Instant::now();
    let (inserted, ()) = tokio::join!(insert(&bench.pool, 1), async {
        until("somebody waits", async || bench.pool("pending_requests") == 1.0).await;
        // Long enough to be told from what a statement takes.
        until("the wait was long", async || start.elapsed() > hold * 2).await;
        drop(held);
    });
    inserted.unwrap();
    let elapsed = start.elapsed().as_secs_f64();
    let (waits, inserts) = sums();
    let wait = waits - before;
    assert!(wait >= hold.as_secs_f64(), "{wait}");
    // If the statement's time had the wait in it, the two would be more than there was.
    assert!(inserts > 0.0 && wait + inserts <= elapsed, "{wait} + {inserts} > {elapsed}");
}

#[tokio::test]
async fn e3_a_begin_that_is_cancelled_in_flight_leaves_no_transaction_to_the_next_one() {
    let bench = Bench::start().await;
    bench.proxy.when_sent(b"BEGIN", Fault::StallReplies);
    // Given up only when the server has it: before, there would be nothing that could be left over.
    tokio::select! {
        _ = bench.pool.begin() => panic!("its reply is held"),
        () = until("BEGIN is on its way", async || bench.proxy.struck() == 1) => {}
    }
    assert_eq!(bench.count("BEGIN", "cancelled"), 1.0);
    bench.proxy.resume();

    // In a stale transaction this would be rolled back with it, or be visible to nobody.
    timeout(PATIENCE, insert(&bench.pool, 1)).await.unwrap().unwrap();
    assert_eq!(bench.items().await, 1);
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 2).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((bench.transactions("committed"), bench.transactions("rolled_back")), (1.0, 0.0));
}

#[tokio::test]
async fn e4_a_connection_that_is_silently_dead_is_in_use_and_its_permit_is_seen_to_be_missing() {
    let bench = Bench::with(impatient(), |builder| builder).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    bench.proxy.stall();
    let hanging = tokio::spawn(async move { insert(&mut *connection, 1).await });
    // Nobody can say yet that it will never answer. What is seen is that it is used, and that others wait in vain.
    assert_eq!(bench.connections("used"), 1.0);
    assert!(insert(&bench.pool, 2).await.is_err());
    assert_eq!(bench.connections("idle"), 0.0);
    assert_eq!((bench.count("INSERT", ""), bench.count("INSERT", "pool_timeout")), (0.0, 1.0));
    assert_eq!(bench.pool("timeouts_total"), 1.0);
    bench.proxy.cut();
    bench.proxy.resume();
    assert!(timeout(PATIENCE, hanging).await.unwrap().unwrap().is_err());
    assert_eq!(bench.count("INSERT", "connection_lost"), 1.0);
    until("the pool has recovered", async || insert(&bench.pool, 3).await.is_ok()).await;
}

#[tokio::test]
async fn e5_a_transaction_ends_as_committed_rolled_back_or_unknown_and_is_counted_once() {
    let bench = Bench::start().await;
    sqlx::raw_sql("CREATE TABLE late (id INT UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1)")
        .execute(&bench.pool)
        .await
        .unwrap();
    let outcomes = || ["committed", "rolled_back", "commit_unknown"].map(|outcome| bench.transactions(outcome));

    // Committed, with a savepoint that is none of its own.
    let mut transaction = bench.pool.begin().await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    insert(&mut *savepoint, 1).await.unwrap();
    savepoint.rollback().await.unwrap();
    insert(&mut *transaction, 2).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(outcomes(), [1.0, 0.0, 0.0]);

    // Dropped, and rolled back.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 3).await.unwrap();
    drop(transaction);
    bench.pool.begin().await.unwrap().rollback().await.unwrap();
    assert_eq!(outcomes(), [1.0, 2.0, 0.0]);

    // Refused by the database at its very end.
    let mut transaction = bench.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO late VALUES (1)").execute(&mut *transaction).await.unwrap();
    assert!(transaction.commit().await.is_err());
    assert_eq!(outcomes(), [1.0, 3.0, 0.0]);
    assert_eq!(bench.count("COMMIT", "constraint_violation"), 1.0);

    // Cut off at COMMIT: the server has it, and nobody is told.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 4).await.unwrap();
    bench.proxy.when_sent(b"COMMIT", Fault::CutAfter);
    assert!(timeout(PATIENCE, transaction.commit()).await.unwrap().is_err());
    assert_eq!(outcomes(), [1.0, 3.0, 1.0]);
    until("the server has committed", async || bench.items().await == 2).await;

    // Given up while COMMIT waits for its answer.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 5).await.unwrap();
    bench.proxy.when_sent(b"COMMIT", Fault::StallReplies);
    assert!(timeout(BRIEF, transaction.commit()).await.is_err());
    bench.proxy.resume();
    assert_eq!(outcomes(), [1.0, 3.0, 2.0]);
    assert_eq!(bench.count("COMMIT", "cancelled"), 1.0);
    until("the pool has recovered", async || timeout(PATIENCE, insert(&bench.pool, 6)).await.unwrap().is_ok()).await;
}

#[tokio::test]
async fn e5_the_commit_of_a_transaction_that_postgresql_has_aborted_is_a_rollback() {
    let bench = Bench::start().await;
    let outcomes = || ["committed", "rolled_back", "commit_unknown"].map(|outcome| bench.transactions(outcome));
    let refused = async |connection: &mut monitoring_sqlx::PgConnection| {
        assert!(insert(&mut *connection, 1).await.is_err());
    };
    insert(&bench.pool, 1).await.unwrap();

    // The application does not care, and to sqlx all is well.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 2).await.unwrap();
    refused(&mut transaction).await;
    transaction.commit().await.unwrap();
    assert_eq!((bench.items().await, outcomes()), (1, [0.0, 1.0, 0.0]));

    // By a stream just as well.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 2).await.unwrap();
    let rows = sqlx::query("INSERT INTO item (id) VALUES (1) RETURNING id").fetch(&mut *transaction);
    assert!(rows.try_collect::<Vec<_>>().await.is_err());
    transaction.commit().await.unwrap();
    assert_eq!((bench.items().await, outcomes()), (1, [0.0, 2.0, 0.0]));

    // Undone as far as a savepoint, dropped or rolled back, it can be committed.
    for (id, is_dropped) in [(2, true), (3, false)] {
        let mut transaction = bench.pool.begin().await.unwrap();
        insert(&mut *transaction, id).await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        refused(&mut savepoint).await;
        if is_dropped {
            drop(savepoint)
        } else {
            savepoint.rollback().await.unwrap()
        }
        transaction.commit().await.unwrap();
    }
    assert_eq!((bench.items().await, outcomes()), (3, [2.0, 2.0, 0.0]));

    // So it can after a savepoint of the application's own, whose name only it knows.
    let mut transaction = bench.pool.begin().await.unwrap();
    sqlx::raw_sql("INSERT INTO item VALUES (4); SAVEPOINT mine").execute(&mut *transaction).await.unwrap();
    refused(&mut transaction).await;
    sqlx::raw_sql("ROLLBACK TO mine").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((bench.items().await, outcomes()), (4, [3.0, 2.0, 0.0]));
}

#[tokio::test]
async fn e5_what_a_failed_savepoint_has_undone_is_not_told_to_be_committed() {
    let bench = Bench::start().await;
    let outcomes = || ["committed", "rolled_back", "commit_unknown"].map(|outcome| bench.transactions(outcome));
    let fail = async |connection: &mut monitoring_sqlx::PgConnection| {
        sqlx::query("SELECT 1 / 0").execute(&mut *connection).await.unwrap_err();
    };

    // sqlx rolls back the transaction around a savepoint that cannot be set, and takes its commit for done.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 1).await.unwrap();
    fail(&mut transaction).await;
    transaction.begin().await.unwrap_err();
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, sqlx::Error::Protocol(_)), "{error}");
    assert_eq!(outcomes(), [0.0, 1.0, 0.0]);
    assert_eq!(bench.items().await, 0);

    // Within a savepoint it is that one only which is undone.
    let mut transaction = bench.pool.begin().await.unwrap();
    insert(&mut *transaction, 2).await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    fail(&mut savepoint).await;
    savepoint.begin().await.unwrap_err();
    drop(savepoint);
    transaction.commit().await.unwrap();
    assert_eq!(outcomes(), [1.0, 1.0, 0.0]);
    assert_eq!(bench.items().await, 1);
}

#[tokio::test]
async fn e6_a_server_that_stands_still_dies_and_comes_back_is_told_by_classes_and_recovered_from() {
    let mut bench =
        Bench::with(PoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(1)), |builder| builder)
            .await;

    // Stopped: nothing is known, so nothing is claimed. The application gives up.
    bench.signal(Signal::STOP);
    assert!(timeout(BRIEF, insert(&bench.pool, 1)).await.is_err());
    assert_eq!(bench.count("INSERT", ""), 0.0);
    bench.signal(Signal::CONT);
    until("it works again", async || insert(&bench.pool, 1).await.is_ok() || bench.items().await == 1).await;

    // A session is killed.
    let mut connection = bench.pool.acquire().await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await.unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let lost = async |connection: &mut monitoring_sqlx::PgConnection| {
        sqlx::query("SELECT 1").execute(&mut *connection).await.is_err()
    };
    let start = Instant::now();
    while !lost(&mut connection).await {
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(bench.count("SELECT", "unavailable") + bench.count("SELECT", "connection_lost"), 1.0);
    drop(connection);

    // The server is gone, and so is its port.
    bench.proxy.refuse();
    bench.proxy.cut();
    let error = insert(&bench.pool, 2).await.unwrap_err();
    let told = ["connection_refused", "connection_lost", "pool_timeout"].map(|class| bench.count("INSERT", class));
    assert_eq!(told.iter().sum::<f64>(), 1.0, "{error}: {told:?}");
    bench.proxy.accept();
    until("it works again by itself", async || insert(&bench.pool, 3).await.is_ok()).await;
}

#[tokio::test]
async fn e6_a_server_that_restarts_because_one_of_its_processes_was_killed_is_recovered_from() {
    let options = PoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
    let bench = Bench::with(options, |builder| builder).await;
    let (mut one, mut two) = (bench.pool.acquire().await.unwrap(), bench.pool.acquire().await.unwrap());
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *one).await.unwrap();
    let sleeping = tokio::spawn(async move { sqlx::query("SELECT pg_sleep(600)").execute(&mut *two).await });
    let mut transaction = one.begin().await.unwrap();
    insert(&mut *transaction, 1).await.unwrap();

    // PostgreSQL ends all sessions then, and starts anew: what its memory holds can't be trusted.
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert!(timeout(PATIENCE, sleeping).await.unwrap().unwrap().is_err());
    assert_eq!(bench.count("SELECT", "unavailable") + bench.count("SELECT", "connection_lost"), 1.0);
    assert!(timeout(PATIENCE, transaction.commit()).await.unwrap().is_err());
    assert_eq!(bench.count("COMMIT", "unavailable") + bench.count("COMMIT", "connection_lost"), 1.0);
    // Nobody has heard of it; only this test knows that it never got there.
    assert_eq!(bench.transactions("commit_unknown"), 1.0);
    drop(one);

    // Those who ask meanwhile wait, and are served when it is back, by connections of the pool's own making.
    timeout(PATIENCE, insert(&bench.pool, 2)).await.unwrap().unwrap();
    assert_eq!((bench.items().await, bench.count("INSERT", "")), (1, 2.0));
}
