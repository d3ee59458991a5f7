//! Every method of `Executor`, on the pool, on a connection and in a transaction.

use futures_util::TryStreamExt;
use monitoring_sqlx::{MeasuredDatabase, Pool, SqliteConnection};
use sqlx::{Column, Connection as _, Either, Executor, Row, SqlSafeStr, SqlStr, Sqlite, SqliteExecutor, Statement};

use crate::Bench;

/// Calls each method of the trait once, and checks what it returns.
macro_rules! call_every_method {
    ($executor:expr) => {
        assert_eq!($executor.execute("UPDATE item SET id = id WHERE id = 1").await.unwrap().rows_affected(), 1);

        let results: Vec<_> =
            $executor.execute_many("DELETE FROM item WHERE id > 99; DELETE FROM item").try_collect().await.unwrap();
        assert_eq!(results.iter().map(|result| result.rows_affected()).collect::<Vec<_>>(), [0, 3]);

        $executor.execute("INSERT INTO item (name) VALUES ('one'), ('two')").await.unwrap();

        let rows: Vec<_> = $executor.fetch("SELECT name FROM item ORDER BY id").try_collect().await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<&str, _>(0)).collect::<Vec<_>>(), ["one", "two"]);

        let steps: Vec<_> = $executor.fetch_many("VALUES (1), (2)").try_collect().await.unwrap();
        assert_eq!(steps.iter().filter(|step| matches!(step, Either::Right(_))).count(), 2);
        assert_eq!(steps.iter().filter(|step| matches!(step, Either::Left(_))).count(), 1);

        assert_eq!($executor.fetch_all("SELECT * FROM item").await.unwrap().len(), 2);
        assert_eq!($executor.fetch_one("SELECT 7").await.unwrap().get::<i64, _>(0), 7);
        assert!($executor.fetch_optional("SELECT * FROM item WHERE id = 0").await.unwrap().is_none());

        let statement = $executor.prepare(SqlStr::from_static("SELECT id, name FROM item")).await.unwrap();
        assert_eq!(statement.columns().len(), 2);
        let statement = $executor.prepare_with("SELECT name FROM item".into_sql_str(), &[]).await.unwrap();
        assert_eq!(statement.columns()[0].name(), "name");
        let described = $executor.describe(SqlStr::from_static("SELECT id, name FROM item")).await.unwrap();
        assert_eq!(described.columns().len(), 2);
    };
}

const EVERY_METHOD: &[(&str, u32)] =
    &[("UPDATE", 1), ("DELETE", 1), ("INSERT", 1), ("SELECT", 4), ("VALUES", 1), ("PREPARE", 2), ("DESCRIBE", 1)];

#[tokio::test]
async fn every_method_on_a_pool_is_measured_once() {
    let bench = Bench::new().await;
    let pool = &bench.pool;
    call_every_method!(pool);
    bench.assert_operations(EVERY_METHOD);
}

#[tokio::test]
async fn every_method_on_a_connection_is_measured_once() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    call_every_method!((&mut *connection));
    bench.assert_operations(EVERY_METHOD);
}

#[tokio::test]
async fn every_method_in_a_transaction_is_measured_once() {
    let bench = Bench::new().await;
    let mut transaction = bench.pool.begin().await.unwrap();
    call_every_method!((&mut *transaction));
    transaction.commit().await.unwrap();
    let mut expected = EVERY_METHOD.to_vec();
    expected.extend([("BEGIN", 1), ("COMMIT", 1)]);
    bench.assert_operations(&expected);
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Item {
    id: i64,
    name: String,
}

#[tokio::test]
async fn the_query_functions_take_the_wrappers_as_they_take_sqlx() {
    let bench = Bench::new().await;
    let pool = &bench.pool;

    let item: Item = sqlx::query_as("SELECT * FROM item WHERE name = $1").bind("two").fetch_one(pool).await.unwrap();
    assert_eq!(item, Item { id: 2, name: "two".into() });
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(pool).await.unwrap();
    assert_eq!(count, 3);
    let names: Vec<String> = sqlx::query("SELECT name FROM item")
        .map(|row: sqlx::sqlite::SqliteRow| row.get(0))
        .fetch_all(pool)
        .await
        .unwrap();
    assert_eq!(names, ["one", "two", "three"]);

    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 1; PRAGMA user_version").execute(&mut *connection).await.unwrap();
    let mut inserts = sqlx::QueryBuilder::<Sqlite>::new("INSERT INTO item (name) ");
    inserts.push_values(["four", "five"], |mut row, name| {
        row.push_bind(name);
    });
    inserts.build().execute(&mut *connection).await.unwrap();

    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("DELETE FROM item WHERE id = ?").bind(1).execute(&mut *transaction).await.unwrap();
    transaction.rollback().await.unwrap();

    bench.assert_operations(&[
        ("SELECT", 3),
        ("PRAGMA", 1),
        ("INSERT", 1),
        ("BEGIN", 1),
        ("DELETE", 1),
        ("ROLLBACK", 1),
    ]);
}

#[tokio::test]
async fn a_prepared_statement_is_named_by_its_text_and_keeps_its_arguments() {
    let bench = Bench::new().await;
    let statement = (&bench.pool).prepare(SqlStr::from_static("SELECT name FROM item WHERE id = ?")).await.unwrap();
    let mut connection = bench.pool.acquire().await.unwrap();
    let row = statement.query().bind(3).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(row.get::<&str, _>(0), "three");
    bench.assert_operations(&[("PREPARE", 1), ("SELECT", 1)]);
}

#[tokio::test]
async fn a_query_that_is_not_to_be_cached_is_not() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    let before = connection.as_sqlx().cached_statements_size();
    sqlx::query("SELECT 1").persistent(false).execute(&mut *connection).await.unwrap();
    assert_eq!(connection.as_sqlx().cached_statements_size(), before);
    sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
    assert_eq!(connection.as_sqlx().cached_statements_size(), before + 1);
}

#[tokio::test]
async fn arguments_that_cannot_be_encoded_fail_the_operation() {
    struct Unencodable;
    impl sqlx::Type<Sqlite> for Unencodable {
        fn type_info() -> sqlx::sqlite::SqliteTypeInfo {
            <i64 as sqlx::Type<Sqlite>>::type_info()
        }
    }
    impl sqlx::Encode<'_, Sqlite> for Unencodable {
        fn encode_by_ref(
            &self,
            _: &mut sqlx::sqlite::SqliteArgumentsBuffer,
        ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
            Err("never".into())
        }
    }
    let bench = Bench::new().await;
    let query = || sqlx::query("SELECT ?").bind(Unencodable);
    assert!(matches!(query().execute(&bench.pool).await, Err(sqlx::Error::Encode(_))));
    assert!(matches!(query().fetch_optional(&bench.pool).await, Err(sqlx::Error::Encode(_))));
    bench.assert_operations(&[("SELECT invalid_request", 2)]);
}

async fn on_one_connection(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(connection).await.unwrap()
}

async fn on_any_executor<'e>(executor: impl SqliteExecutor<'e>) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(executor).await.unwrap()
}

async fn on_any_database<DB: MeasuredDatabase>(pool: &Pool<DB>)
where
    DB::Arguments: sqlx::IntoArguments<DB>,
{
    sqlx::query("SELECT 1").execute(pool).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("SELECT 1").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn functions_take_a_connection_any_executor_or_any_database() {
    let bench = Bench::new().await;
    let pool = bench.pool.clone();
    // Spawned, because that is where a future that is not `Send` shows.
    tokio::spawn(async move {
        let mut transaction = pool.begin().await.unwrap();
        assert_eq!(on_one_connection(&mut transaction).await, 3);
        assert_eq!(on_any_executor(&mut *transaction).await, 3);
        drop(transaction);
        assert_eq!(on_any_executor(&pool).await, 3);
        on_any_database(&pool).await;
    })
    .await
    .unwrap();
    bench.assert_operations(&[("BEGIN", 2), ("SELECT", 5), ("COMMIT", 1)]);
}

#[tokio::test]
async fn what_is_done_by_the_way_out_is_not_measured() {
    let bench = Bench::new().await;
    sqlx::query("SELECT 1").execute(bench.pool.as_sqlx()).await.unwrap();
    let mut connection = bench.pool.acquire().await.unwrap();
    sqlx::query("SELECT 1").execute(connection.as_sqlx_mut()).await.unwrap();
    connection.ping().await.unwrap();
    bench.assert_operations(&[]);
}
