//! A queue in PostgreSQL, asked for its depth and age.

use std::time::Duration;

use monitoring_core::job::{QueueMonitor, QueueState};
use monitoring_tests::servers::PostgreSql;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::{sleep, timeout};

use super::{samples, set_up};

const PATIENCE: Duration = Duration::from_secs(30);

async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_in_postgresql_shows_what_waits_until_the_server_is_gone() {
    let mut server = PostgreSql::start().unwrap();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect(&server.url()).await.unwrap();
    execute(&pool, "create table export (state text not null, created_at timestamptz not null)").await;

    let (monitoring, _, _) = set_up();
    let monitor = QueueMonitor::new("exports", {
        let pool = pool.clone();
        move || {
            let pool = pool.clone();
            async move {
                let waiting = "select count(*), extract(epoch from now() - min(created_at))::float8 from export \
                               where state = 'waiting'";
                let (depth, oldest): (i64, Option<f64>) = sqlx::query_as(waiting).fetch_one(&pool).await?;
                let oldest = oldest.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
                Ok::<_, sqlx::Error>(QueueState { depth: depth.cast_unsigned(), oldest })
            }
        }
    });
    let monitor =
        monitor.every(Duration::from_millis(20)).time_out(Duration::from_secs(10)).start(&monitoring).unwrap();
    let shown = || {
        let samples = samples(&monitoring);
        ["saas_job_queue_up", "saas_job_queue_depth", "saas_job_queue_age_seconds"]
            .map(|name| samples.value(name, &[("queue", "exports")]))
    };
    let until = async |what: &str, condition: &dyn Fn([Option<f64>; 3]) -> bool| {
        let poll = async {
            while !condition(shown()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, poll).await.is_ok(), "waited in vain until {what}: {:?}", shown());
    };

    until("the empty queue is asked", &|shown| shown == [Some(1.0), Some(0.0), Some(0.0)]).await;
    execute(
        &pool,
        "insert into export values ('waiting', now() - interval '1 hour'), ('waiting', now()), ('done', now())",
    )
    .await;
    let is_full = |[_, depth, age]: [Option<f64>; 3]| {
        depth == Some(2.0) && age.is_some_and(|age| (3_600.0..3_700.0).contains(&age))
    };
    until("the jobs are seen", &is_full).await;

    server.process().stop(PATIENCE);
    until("the queue is gone with its server", &|shown| shown == [Some(0.0), None, None]).await;
    monitor.abort();
}
