//! Row E12 where rows are looked at as they are read. SQLite's are in the tests of `monitoring-sqlx`.

use monitoring_core::{Monitoring, Tenant, TenantFutureExt, Tier};
use monitoring_sqlx::{IsolationError, MeasuredDatabase, MySqlPool, OfTenant, PgPool, Pool, TenantRow, check_tenant};
use monitoring_tests::exposition::Samples;
use monitoring_tests::in_own_process;
use monitoring_tests::servers::{MariaDb, PostgreSql};
use sqlx::{Executor, FromRow, IntoArguments};

#[derive(Debug, FromRow)]
struct Item {
    id: i32,
}

impl TenantRow for Item {}

const ITEMS: &str = "CREATE TABLE item (id INT, tenant_id VARCHAR(64) NOT NULL, note TEXT);
                     INSERT INTO item VALUES (1, 'acme', 'of acme'), (2, 'zeta', 'of zeta')";

/// The ids of all items that `tenant` gets to see by a statement without a `WHERE`, or why there are none.
async fn read<DB>(pool: &Pool<DB>, tenant: Tenant, sql: &'static str) -> Result<Vec<i32>, IsolationError>
where
    DB: MeasuredDatabase,
    DB::Arguments: IntoArguments<DB>,
    for<'p> &'p Pool<DB>: Executor<'p, Database = DB>,
    for<'r> OfTenant<Item>: FromRow<'r, DB::Row>,
    DB::Row: Unpin,
{
    let rows = sqlx::query_as::<DB, OfTenant<Item>>(sql).fetch_all(pool).in_tenant(tenant).await;
    match rows {
        Ok(rows) => Ok(rows.iter().map(|row| row.id).collect()),
        Err(error) => Err(*std::error::Error::source(&error).and_then(|source| source.downcast_ref()).unwrap()),
    }
}

#[test]
fn e12_rows_of_another_tenant_are_stopped_with_postgresql_and_mysql() {
    let name = "sql_rows::e12_rows_of_another_tenant_are_stopped_with_postgresql_and_mysql";
    in_own_process(name, || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
    })
    .unwrap();
}

async fn work() {
    let (postgresql, mariadb) = (PostgreSql::start().unwrap(), MariaDb::start().unwrap());
    let monitoring = Monitoring::builder("test").install().unwrap();
    let [acme, zeta] =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap());
    let one = PgPool::connect(&postgresql.url()).await.unwrap();
    let two = MySqlPool::connect(&mariadb.url()).await.unwrap();
    sqlx::raw_sql(ITEMS).execute(&one).await.unwrap();
    sqlx::raw_sql(ITEMS).execute(&two).await.unwrap();

    let stopped = Err(IsolationError::OtherTenant { column: "tenant_id" });
    for (all, own, id) in [
        ("SELECT * FROM item", "SELECT * FROM item WHERE tenant_id = 'acme'", 1),
        ("SELECT * FROM item ORDER BY id DESC", "SELECT * FROM item WHERE id = 1", 1),
    ] {
        assert_eq!(read(&one, acme, own).await, Ok(vec![id]));
        assert_eq!(read(&two, acme, own).await, Ok(vec![id]));
        assert_eq!(read(&one, acme, all).await, stopped);
        assert_eq!(read(&two, acme, all).await, stopped);
        assert_eq!(read(&one, zeta, own).await, stopped);
        assert_eq!(read(&two, Tenant::NONE, own).await, Err(IsolationError::NoTenant));
    }
    let samples: Samples = monitoring.render().parse().unwrap();
    let violations =
        |tenant| samples.value("saas_tenant_isolation_violations_total", &[("tenant", tenant), ("layer", "db")]);
    assert_eq!((violations("acme"), violations("zeta")), (Some(4.0), Some(2.0)));

    // A column of another type is cast to text; one that is not is an error, and not passed over.
    let row = sqlx::query("SELECT 'acme'::bpchar::text AS tenant_id").fetch_one(&one).await.unwrap();
    acme.scope(async { check_tenant(&row, "tenant_id") }).await.unwrap();
    let row = sqlx::query("SELECT 7 AS tenant_id").fetch_one(&one).await.unwrap();
    let error = acme.scope(async { check_tenant(&row, "tenant_id") }).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::ColumnDecode { .. }), "{error}");
}
