//! Rows that are looked at when they are read: one of another tenant is never seen.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use monitoring_core::{Monitoring, Tenant, TenantFutureExt, Tier};
use monitoring_sqlx::{IsolationError, OfTenant, SqlitePool, TenantRow, check_tenant};
use monitoring_tests::exposition::Samples;
use monitoring_tests::in_own_process;
use sqlx::{Error, Row};

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Invoice {
    cents: i64,
}

impl TenantRow for Invoice {}

/// What its rows are is not looked at when they are another tenant's.
#[derive(Debug, sqlx::FromRow)]
struct Wrong {
    #[expect(dead_code, reason = "it is never decoded")]
    missing: i64,
}

impl TenantRow for Wrong {}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[track_caller]
fn why(error: &Error) -> IsolationError {
    *std::error::Error::source(error).and_then(|source| source.downcast_ref()).unwrap()
}

fn violations(monitoring: &Monitoring, tenant: &str) -> f64 {
    let samples: Samples = monitoring.render().parse().unwrap();
    samples.sum("saas_tenant_isolation_violations_total", &[("tenant", tenant), ("layer", "db")])
}

/// The monitoring that is installed, with two tenants, and rows of both, of a third one that is unknown, and of nobody.
async fn set_up() -> (Monitoring, SqlitePool, [Tenant; 2]) {
    let monitoring = Monitoring::builder("test").install().unwrap();
    let tenants =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap());
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE invoice (id INTEGER PRIMARY KEY, tenant_id TEXT, cents INTEGER);
         INSERT INTO invoice (tenant_id, cents)
         VALUES ('acme', 1), ('acme', 2), ('zeta', 3), ('__unknown__', 4), (NULL, 5)",
    )
    .execute(&pool)
    .await
    .unwrap();
    (monitoring, pool, tenants)
}

fn run<F: Future<Output = ()>>(test: &str, work: impl FnOnce() -> F) {
    in_own_process(test, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work());
    })
    .unwrap();
}

#[test]
fn a_row_of_another_tenant_is_never_seen_and_is_counted_for_who_has_asked() {
    run("isolation::a_row_of_another_tenant_is_never_seen_and_is_counted_for_who_has_asked", || async {
        let (monitoring, pool, [acme, zeta]) = set_up().await;
        let invoices = |condition: &str| {
            let sql = format!("SELECT tenant_id, cents FROM invoice WHERE {condition} ORDER BY id");
            sqlx::query_as::<_, OfTenant<Invoice>>(sqlx::AssertSqlSafe(sql))
        };
        let own = invoices("tenant_id = 'acme'").fetch_all(&pool).in_tenant(acme).await.unwrap();
        assert_eq!(own.iter().map(|row| row.cents).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(own.into_iter().next().unwrap().into_inner(), Invoice { cents: 1 });
        assert_eq!(violations(&monitoring, "acme"), 0.0);

        // All at once, none is seen; one after the other, those before it are.
        let error = invoices("true").fetch_all(&pool).in_tenant(acme).await.unwrap_err();
        assert_eq!(why(&error), IsolationError::OtherTenant { column: "tenant_id" });
        assert_eq!(violations(&monitoring, "acme"), 1.0);
        let seen = async {
            let mut seen = Vec::new();
            let query = invoices("true");
            let mut rows = query.fetch(&pool);
            let error = loop {
                match rows.try_next().await {
                    Ok(row) => seen.push(row.unwrap().cents),
                    Err(error) => break error,
                }
            };
            assert_eq!(why(&error), IsolationError::OtherTenant { column: "tenant_id" });
            seen
        };
        assert_eq!(seen.in_tenant(acme).await, [1, 2]);
        assert_eq!(violations(&monitoring, "acme"), 2.0);

        // It is counted for who has asked, not for whose it is. A row of nobody is nobody's own.
        for condition in ["tenant_id = 'acme'", "tenant_id = '__unknown__'", "tenant_id IS NULL"] {
            let error = invoices(condition).fetch_optional(&pool).in_tenant(zeta).await.unwrap_err();
            assert_eq!(why(&error), IsolationError::OtherTenant { column: "tenant_id" }, "{condition}");
        }
        assert_eq!((violations(&monitoring, "acme"), violations(&monitoring, "zeta")), (2.0, 3.0));

        // The check comes first: what else is wrong with such a row is nobody's business.
        let wrong = sqlx::query_as::<_, OfTenant<Wrong>>("SELECT tenant_id, cents FROM invoice WHERE cents = 3");
        why(&wrong.fetch_one(&pool).in_tenant(acme).await.unwrap_err());
    });
}

#[test]
fn work_for_no_tenant_and_rows_without_the_column_fail_closed() {
    run("isolation::work_for_no_tenant_and_rows_without_the_column_fail_closed", || async {
        let (monitoring, pool, [acme, _]) = set_up().await;
        let other = Monitoring::builder("other").build().unwrap();
        let stranger = other.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
        let invoice = "SELECT tenant_id, cents FROM invoice WHERE cents = 1";
        for tenant in [Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER, stranger] {
            let row = sqlx::query_as::<_, OfTenant<Invoice>>(invoice).fetch_one(&pool).in_tenant(tenant).await;
            assert_eq!(why(&row.unwrap_err()), IsolationError::NoTenant, "{tenant:?}");
            let row = sqlx::query("SELECT '__unknown__' AS tenant_id").fetch_one(&pool).await.unwrap();
            let checked = tenant.scope(async { check_tenant(&row, "tenant_id") }).await;
            assert_eq!(why(&checked.unwrap_err()), IsolationError::NoTenant, "{tenant:?}");
        }
        let row = sqlx::query_as::<_, OfTenant<Invoice>>("SELECT cents FROM invoice WHERE cents = 1");
        let error = row.fetch_one(&pool).in_tenant(acme).await.unwrap_err();
        assert!(matches!(&error, Error::ColumnNotFound(column) if column == "tenant_id"), "{error}");
        assert!(!monitoring.render().contains("isolation_violations_total{"));
    });
}

#[test]
fn a_violation_is_logged_once_and_nothing_of_the_other_tenant_with_it() {
    run("isolation::a_violation_is_logged_once_and_nothing_of_the_other_tenant_with_it", || async {
        let (_monitoring, pool, [acme, _]) = set_up().await;
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        let row = sqlx::query("SELECT tenant_id AS owner, cents FROM invoice WHERE cents = 3").fetch_one(&pool).await;
        let row = row.unwrap();
        let error = tracing::subscriber::with_default(subscriber, || {
            let _entered = acme.enter();
            check_tenant(&row, "owner").unwrap_err()
        });
        assert_eq!(why(&error), IsolationError::OtherTenant { column: "owner" });
        assert_eq!(row.get::<&str, _>("owner"), "zeta");
        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("monitoring::isolation")).collect();
        assert!(lines.len() == 1 && lines[0].contains("ERROR") && lines[0].contains("acme"), "{log}");
        assert!(!log.contains("zeta") && !error.to_string().contains("zeta"), "{log}{error}");
    });
}
