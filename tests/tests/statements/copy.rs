//! COPY from and to the program.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::TryStreamExt;
use futures_util::future::poll_immediate;
use sqlx::Executor;
use sqlx::pool::PoolOptions;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::Bench;

const IN: &str = "COPY item (id, name) FROM STDIN WITH (FORMAT csv)";
const OUT: &str = "COPY item TO STDOUT WITH (FORMAT csv)";

async fn with_one_connection() -> Bench {
    Bench::set_up(|builder| builder.options(PoolOptions::new().max_connections(1))).await
}

/// A source that cannot be read.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("broken")))
    }
}

#[tokio::test]
async fn a_copy_is_one_operation_from_its_statement_to_its_end() {
    let bench = with_one_connection().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let source = (&b"1,one\n2,t"[..]).chain(&b"wo\n3,three\n"[..]);
    assert_eq!(connection.copy_in_raw(IN, source).await.unwrap(), 3);
    assert_eq!(bench.count("COPY", "item", ""), 1.0);

    let mut data = connection.copy_out_raw(OUT).await.unwrap();
    let mut all = Vec::new();
    while let Some(bytes) = data.try_next().await.unwrap() {
        assert_eq!(bench.count("COPY", "item", ""), 1.0);
        all.extend_from_slice(&bytes);
    }
    drop(data);
    assert_eq!(all, b"1,one\n2,two\n3,three\n");
    assert_eq!(bench.count("COPY", "item", ""), 2.0);
    // The connection is as good as it was.
    connection.execute("TRUNCATE item").await.unwrap();
    let nothing: Vec<_> = connection.copy_out_raw(OUT).await.unwrap().try_collect().await.unwrap();
    assert!(nothing.is_empty());
    assert_eq!(bench.count("COPY", "item", ""), 3.0);
}

/// What the server calls the only connection of the pool.
async fn session(bench: &Bench) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&bench.pool).await.unwrap()
}

#[tokio::test]
async fn a_copy_that_the_database_refuses_is_an_error_of_its_class() {
    let bench = with_one_connection().await;
    let first = session(&bench).await;
    let mut connection = bench.pool.acquire().await.unwrap();
    connection.copy_in_raw("COPY nowhere FROM STDIN", &b""[..]).await.unwrap_err();
    assert_eq!(bench.count("COPY", "", "invalid_request"), 1.0);
    connection.copy_in_raw(IN, &b"1,one\n1,one\n"[..]).await.unwrap_err();
    assert_eq!(bench.count("COPY", "item", "constraint_violation"), 1.0);
    drop(connection);
    assert_eq!(session(&bench).await, first, "a connection was closed without need");

    let mut connection = bench.pool.acquire().await.unwrap();
    assert!(connection.copy_out_raw("COPY nowhere TO STDOUT").await.is_err());
    drop(connection);
    assert_eq!(bench.count("COPY", "", "invalid_request"), 2.0);
    session(&bench).await;
}

#[tokio::test]
async fn a_copy_that_is_given_up_is_cancelled_and_its_pool_goes_on() {
    let bench = with_one_connection().await;
    let pool = &bench.pool;
    let mut connection = pool.acquire().await.unwrap();
    connection.copy_in_raw(IN, Broken).await.unwrap_err();
    assert_eq!(bench.count("COPY", "", "io"), 1.0);
    drop(connection);
    session(&bench).await;

    let mut connection = pool.acquire().await.unwrap();
    let (_never, source) = tokio::io::duplex(8);
    let copy = connection.copy_in_raw(IN, source);
    tokio::time::timeout(std::time::Duration::from_millis(50), copy).await.unwrap_err();
    drop(connection);
    session(&bench).await;
    assert_eq!(bench.count("COPY", "", "cancelled"), 1.0);

    let fill = "INSERT INTO item SELECT x, repeat('x', 1000) FROM generate_series(1, 10000) AS s (x)";
    assert_eq!(pool.execute(fill).await.unwrap().rows_affected(), 10_000);
    let mut connection = pool.acquire().await.unwrap();
    let mut data = connection.copy_out_raw(OUT).await.unwrap();
    data.try_next().await.unwrap().unwrap();
    drop(data);
    drop(connection);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(pool).await.unwrap();
    assert_eq!(rows, 10_000);
    assert_eq!(bench.count("COPY", "", "cancelled"), 2.0);

    // Given up after its first step; where the server was so quick that there was no other one, once more.
    loop {
        let mut connection = pool.acquire().await.unwrap();
        if poll_immediate(connection.copy_in_raw(IN, &b""[..])).await.is_none() {
            break;
        }
    }
    session(&bench).await;
    // Once one was understood, the table has a name.
    assert_eq!(bench.count("COPY", "", "cancelled") + bench.count("COPY", "item", "cancelled"), 3.0);
}
