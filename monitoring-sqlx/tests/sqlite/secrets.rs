//! No statement, no argument and no credential may be seen in a metric or in what `Debug` writes.

use futures_util::TryStreamExt;
use monitoring_sqlx::{PgPool, SqlitePool};
use sqlx::Executor;

use crate::Bench;

const CANARY: &str = "canary";

#[track_caller]
fn assert_no_canary(text: &str) {
    assert!(!text.contains(CANARY), "{text}");
}

#[tokio::test]
async fn statements_and_arguments_do_not_reach_the_metrics() {
    let bench = Bench::new().await;
    let pool = &bench.pool;
    pool.execute("/* canary */ SELECT 'canary' AS canary").await.unwrap();
    pool.execute("canary").await.unwrap_err();
    pool.execute("SELECT * FROM canary").await.unwrap_err();
    sqlx::query("INSERT INTO item (name) VALUES (?), (?)").bind(CANARY).bind(CANARY).execute(pool).await.unwrap_err();
    pool.fetch("WITH canary AS (SELECT 1) SELECT * FROM canary").try_collect::<Vec<_>>().await.unwrap();
    bench.assert_operations(&[
        ("SELECT", 2),
        ("_OTHER invalid_request", 1),
        ("SELECT invalid_request", 1),
        ("INSERT constraint_violation", 1),
    ]);
    assert_no_canary(&bench.monitoring.render());
}

#[tokio::test]
async fn debug_output_holds_no_statement_and_no_credential() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin().await.unwrap();
    (&mut *transaction).execute("SELECT 'canary'").await.unwrap();
    assert_no_canary(&format!("{transaction:?} {:?}", &*transaction));
    transaction.commit().await.unwrap();
    assert_no_canary(&format!("{:?} {:?}", bench.pool, bench.pool.acquire().await.unwrap()));

    let pool = PgPool::connect_lazy("postgres://canary:canary@canary.example/shop?application_name=canary").unwrap();
    assert_eq!(pool.name(), "shop");
    assert_no_canary(&format!("{pool:?} {:?} {:?}", PgPool::builder(), SqlitePool::builder()));
}
