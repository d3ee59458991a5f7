//! How operations end: with an error, before their end, or with a stream.

use futures_util::future::poll_immediate;
use futures_util::{StreamExt, TryStreamExt};
use sqlx::Executor;

use crate::{Bench, ENDLESS};

#[tokio::test]
async fn an_error_is_recorded_as_its_class() {
    let bench = Bench::new().await;
    let pool = &bench.pool;
    pool.execute("INSERT INTO item (name) VALUES ('one')").await.unwrap_err();
    pool.execute("INSERT INTO item (name) VALUES (NULL)").await.unwrap_err();
    pool.execute("SELECT * FROM nowhere").await.unwrap_err();
    pool.fetch_one("SELECT * FROM item WHERE id = 0").await.unwrap_err();
    pool.execute("PRAGMA query_only = 1").await.unwrap();
    pool.execute("DELETE FROM item").await.unwrap_err();
    bench.assert_operations(&[
        ("INSERT constraint_violation", 2),
        ("SELECT invalid_request", 1),
        ("SELECT not_found", 1),
        ("PRAGMA", 1),
        ("DELETE read_only", 1),
    ]);
}

#[tokio::test]
async fn a_row_that_query_as_does_not_find_is_no_error_of_the_database() {
    let bench = Bench::new().await;
    let missing: Result<(i64,), _> = sqlx::query_as("SELECT id FROM item WHERE id = 0").fetch_one(&bench.pool).await;
    assert!(matches!(missing, Err(sqlx::Error::RowNotFound)));
    bench.assert_operations(&[("SELECT", 1)]);
}

#[tokio::test]
async fn a_query_that_is_dropped_while_it_runs_is_cancelled() {
    let bench = Bench::new().await;
    assert!(poll_immediate(sqlx::query(ENDLESS).execute(&bench.pool)).await.is_none());
    let mut connection = bench.pool.acquire().await.unwrap();
    assert!(poll_immediate(sqlx::query(ENDLESS).fetch_all(&mut *connection)).await.is_none());
    bench.assert_operations(&[("SELECT cancelled", 2)]);
}

#[tokio::test]
async fn a_query_that_was_never_polled_is_no_operation() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    drop(sqlx::query("SELECT 1").fetch(&mut *connection));
    drop((&mut *connection).execute("SELECT 1"));
    drop(connection);
    drop(sqlx::query("SELECT 1").fetch(&bench.pool));
    drop((&bench.pool).execute("SELECT 1"));
    bench.assert_operations(&[]);
}

#[tokio::test]
async fn a_stream_is_one_operation_that_ends_with_its_last_row() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let mut rows = sqlx::query("SELECT id FROM item").fetch(&mut *connection);
    for _ in 0..3 {
        assert!(rows.try_next().await.unwrap().is_some());
        bench.assert_operations(&[]);
    }
    assert!(rows.try_next().await.unwrap().is_none());
    bench.assert_operations(&[("SELECT", 1)]);
    drop(rows);
    drop(connection);

    let rows: Vec<_> = sqlx::query("SELECT id FROM item").fetch(&bench.pool).try_collect().await.unwrap();
    assert_eq!(rows.len(), 3);
    bench.assert_operations(&[("SELECT", 2)]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_before_its_end_is_cancelled() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let mut rows = sqlx::query(ENDLESS).fetch(&mut *connection);
    rows.try_next().await.unwrap();
    drop(rows);
    bench.assert_operations(&[("SELECT cancelled", 1)]);
    drop(connection);

    let mut rows = sqlx::query(ENDLESS).fetch(&bench.pool);
    rows.try_next().await.unwrap();
    drop(rows);
    bench.assert_operations(&[("SELECT cancelled", 2)]);
}

/// The third row fails.
const FAILS_LATE: &str = "SELECT abs(x) FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT -9223372036854775808)";

#[tokio::test]
async fn a_stream_that_yields_an_error_counts_as_that_error_once() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let results: Vec<_> = sqlx::query(FAILS_LATE).fetch(&mut *connection).collect().await;
    assert!(results.iter().any(Result::is_err), "{results:?}", results = results.len());
    drop(connection);
    bench.assert_operations(&[("SELECT invalid_request", 1)]);

    // Dropped with its error, as `try_collect` does it.
    let mut rows = sqlx::query(FAILS_LATE).fetch(&bench.pool);
    while let Ok(row) = rows.try_next().await {
        assert!(row.is_some());
    }
    drop(rows);
    bench.assert_operations(&[("SELECT invalid_request", 2)]);

    sqlx::query(FAILS_LATE).fetch_all(&bench.pool).await.map(|rows| rows.len()).unwrap_err();
    bench.assert_operations(&[("SELECT invalid_request", 3)]);
}

#[tokio::test]
async fn the_connection_serves_the_next_query_after_a_cancelled_one() {
    let bench = Bench::new().await;
    for _ in 0..20 {
        assert!(poll_immediate(sqlx::query(ENDLESS).execute(&bench.pool)).await.is_none());
        assert_eq!((&bench.pool).fetch_all("SELECT * FROM item").await.unwrap().len(), 3);
    }
    bench.assert_operations(&[("SELECT cancelled", 20), ("SELECT", 20)]);
}
