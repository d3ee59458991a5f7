//! Transactions and savepoints: committed, rolled back, dropped, given up.

use futures_util::future::poll_immediate;
use monitoring_sqlx::SqlitePool;
use sqlx::Executor;
use sqlx::pool::PoolOptions;

use crate::Bench;

const INSERT: &str = "INSERT INTO item (name) VALUES ('four')";

#[tokio::test]
async fn a_committed_transaction_is_kept() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin().await.unwrap();
    (&mut *transaction).execute(INSERT).await.unwrap();
    assert!(transaction.is_in_transaction());
    transaction.commit().await.unwrap();
    assert_eq!(bench.names().await.len(), 4);
    bench.assert_operations(&[("BEGIN", 1), ("INSERT", 1), ("COMMIT", 1)]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_is_undone() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin().await.unwrap();
    (&mut *transaction).execute(INSERT).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(bench.names().await.len(), 3);
    bench.assert_operations(&[("BEGIN", 1), ("INSERT", 1), ("ROLLBACK", 1)]);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_undone() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin().await.unwrap();
    (&mut *transaction).execute(INSERT).await.unwrap();
    drop(transaction);
    assert_eq!(bench.names().await.len(), 3);
    assert!(!bench.pool.acquire().await.unwrap().is_in_transaction());
    bench.assert_operations(&[("BEGIN", 1), ("INSERT", 1)]);
}

#[tokio::test]
async fn a_savepoint_is_undone_without_the_transaction_around_it() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let mut outer = connection.begin().await.unwrap();
    (&mut *outer).execute(INSERT).await.unwrap();

    let mut dropped = outer.begin().await.unwrap();
    (&mut *dropped).execute("DELETE FROM item").await.unwrap();
    drop(dropped);
    let mut kept = outer.begin().await.unwrap();
    (&mut *kept).execute("DELETE FROM item WHERE id = 1").await.unwrap();
    kept.commit().await.unwrap();

    outer.commit().await.unwrap();
    drop(connection);
    assert_eq!(bench.names().await, ["two", "three", "four"]);
    bench.assert_operations(&[
        ("BEGIN", 1),
        ("INSERT", 1),
        ("SAVEPOINT", 2),
        ("DELETE", 2),
        ("RELEASE", 1),
        ("COMMIT", 1),
    ]);
}

#[tokio::test]
async fn a_commit_right_after_a_dropped_savepoint_is_the_commit_of_the_transaction() {
    let bench = Bench::new().await;
    let mut outer = bench.pool.begin().await.unwrap();
    // The driver's worker undoes the savepoint later, and counts it until then.
    drop(outer.begin().await.unwrap());
    outer.commit().await.unwrap();
    bench.assert_operations(&[("BEGIN", 1), ("SAVEPOINT", 1), ("COMMIT", 1)]);
}

#[tokio::test]
async fn a_transaction_begins_by_a_statement_of_its_own() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let nested = transaction.begin_with("BEGIN IMMEDIATE").await;
    assert!(matches!(nested, Err(sqlx::Error::InvalidSavePointStatement)));
    drop(nested);
    transaction.commit().await.unwrap();
    assert!(matches!(bench.pool.begin_with("SELECT 1").await, Err(sqlx::Error::BeginFailed)));
    bench.assert_operations(&[
        ("BEGIN", 1),
        ("BEGIN invalid_request", 1),
        ("COMMIT", 1),
        ("SELECT invalid_request", 1),
    ]);
}

#[tokio::test]
async fn a_transaction_given_up_while_it_begins_leaves_none_behind() {
    let bench = Bench::new().await;
    for _ in 0..20 {
        if let Some(begun) = poll_immediate(bench.pool.begin()).await {
            drop(begun.unwrap());
        }
        let mut connection = bench.pool.acquire().await.unwrap();
        assert!(!connection.is_in_transaction());
        // A second BEGIN fails within a transaction.
        connection.execute("BEGIN").await.unwrap();
        connection.execute("COMMIT").await.unwrap();
    }
    assert_eq!(bench.names().await.len(), 3);
}

#[tokio::test]
async fn a_batch_that_fails_after_it_has_begun_a_transaction_costs_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let pool = SqlitePool::builder().options(PoolOptions::new().max_connections(1));
    let pool = pool.connect(&format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display())).await.unwrap();
    pool.begin_with("BEGIN; SELECT * FROM nowhere;").await.unwrap_err();
    // It would fail within a transaction.
    pool.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_fails_to_begin_a_transaction_does_not_cost_its_connection() {
    // The database is in memory, and so as long-lived as its connection.
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    connection.execute("BEGIN").await.unwrap();
    connection.begin().await.unwrap_err();
    connection.begin_with("BEGIN IMMEDIATE;\n").await.unwrap_err();
    connection.execute("COMMIT").await.unwrap();
    drop(connection);
    bench.pool.begin_with("SELECT 1; SELECT 2").await.unwrap_err();
    assert_eq!(bench.names().await.len(), 3);
}

#[tokio::test]
async fn a_failed_commit_is_recorded_as_an_error_and_undone() {
    let bench = Bench::new().await;
    sqlx::raw_sql(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE part (item INTEGER REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED);",
    )
    .execute(bench.pool.as_sqlx())
    .await
    .unwrap();
    let mut transaction = bench.pool.begin().await.unwrap();
    (&mut *transaction).execute(INSERT).await.unwrap();
    (&mut *transaction).execute("INSERT INTO part VALUES (0)").await.unwrap();
    transaction.commit().await.unwrap_err();
    assert_eq!(bench.names().await.len(), 3);
    bench.assert_operations(&[("BEGIN", 1), ("INSERT", 2), ("COMMIT constraint_violation", 1)]);
}
