//! sqlx's checked macros. Their metadata are in `.sqlx`, beside this crate's manifest, so that no database is needed to
//! compile them; `.env` says so to sqlx even when `DATABASE_URL` is set.

use futures_util::TryStreamExt;

use crate::Bench;

#[derive(Debug, PartialEq)]
struct Item {
    id: i64,
    name: String,
}

#[tokio::test]
async fn the_checked_macros_take_the_wrappers_as_they_take_sqlx() {
    let bench = Bench::new().await;
    let pool = &bench.pool;

    let items = sqlx::query_as!(Item, "SELECT id, name FROM item ORDER BY id").fetch_all(pool).await.unwrap();
    assert_eq!(items.len(), 3);
    let item = sqlx::query_as!(Item, "SELECT id, name FROM item WHERE name = ?", "two").fetch_one(pool).await.unwrap();
    assert_eq!(item, Item { id: 2, name: "two".into() });
    let names = sqlx::query_scalar!("SELECT name FROM item");
    assert_eq!(names.fetch(pool).try_collect::<Vec<_>>().await.unwrap(), ["one", "two", "three"]);

    let mut transaction = pool.begin().await.unwrap();
    sqlx::query!("DELETE FROM item WHERE id = ?", 1).execute(&mut *transaction).await.unwrap();
    let left = sqlx::query!("SELECT count(*) AS left FROM item").fetch_one(&mut *transaction).await.unwrap();
    assert_eq!(left.left, 2);
    transaction.commit().await.unwrap();

    let mut connection = pool.acquire().await.unwrap();
    let missing = sqlx::query_as!(Item, "SELECT id, name FROM item WHERE id = ?", 1).fetch_optional(&mut *connection);
    assert_eq!(missing.await.unwrap(), None);

    bench.assert_operations(&[("SELECT", 5), ("BEGIN", 1), ("DELETE", 1), ("COMMIT", 1)]);
}
