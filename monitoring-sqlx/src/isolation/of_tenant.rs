//! Rows that are looked at when they are read.

use std::ops::Deref;
use std::sync::LazyLock;

use monitoring_core::{Instruments, IsolationLayer, IsolationViolations, Tenant};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

/// A row that was not handed out, because it is not the current tenant's. It comes as the source of a
/// [`sqlx::Error::Decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// It belongs to another tenant. That is counted, and is a fault of the statement: a `WHERE` is missing, or wrong.
    #[error(
        "a row of another tenant was read and is not handed out: the statement must select by the column `{column}`"
    )]
    OtherTenant {
        /// The column that names the tenant.
        column: &'static str,
    },
    /// The work is for no tenant, so no row of a tenant can be its own.
    #[error(
        "a row of a tenant was read in work for no tenant: run it with `in_tenant`, or read rows of all tenants without \
         `OfTenant`"
    )]
    NoTenant,
}

/// A type of rows that name their tenant: what [`OfTenant`] goes by.
///
/// ```
/// use monitoring_sqlx::TenantRow;
///
/// #[derive(sqlx::FromRow)]
/// struct Invoice {
///     cents: i64,
/// }
///
/// impl TenantRow for Invoice {} // the column is `tenant_id`
/// ```
pub trait TenantRow {
    /// The column with the tenant's id, as text. It has to be among those that are selected; one of another type can be
    /// cast, as in `tenant_id::text AS tenant_id`.
    const TENANT_COLUMN: &'static str = "tenant_id";
}

/// A row that is looked at when it is read: that of another tenant is an [error](IsolationError), and never seen.
///
/// For databases without row level security, and as a second wall beside it. It works wherever sqlx takes a type of rows:
/// `query_as`, with `fetch_all`, `fetch` and all the others. The tenant is the [current one](Tenant::current) of the
/// monitoring that is [installed](monitoring_core::MonitoringBuilder::install); a violation is counted for it in
/// `saas_tenant_isolation_violations_total{layer="db"}`.
///
/// Costs a look-up of the column by its name and a comparison for each row, and no allocation. A stream has to be polled in
/// the tenant's scope: where there is none, its rows are [nobody's](IsolationError::NoTenant).
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use monitoring_core::{Monitoring, TenantFutureExt, Tier};
/// use monitoring_sqlx::{OfTenant, SqlitePool, TenantRow};
///
/// #[derive(sqlx::FromRow)]
/// struct Invoice {
///     cents: i64,
/// }
///
/// impl TenantRow for Invoice {}
///
/// let monitoring = Monitoring::builder("billing").install()?;
/// let acme = monitoring.tenants().register("acme".parse()?, Tier::Standard)?;
/// let pool = SqlitePool::connect("sqlite::memory:").await?;
/// # sqlx::raw_sql("CREATE TABLE invoice (tenant_id TEXT, cents INTEGER); INSERT INTO invoice VALUES ('acme', 42), ('zeta', 7)").execute(&pool).await?;
///
/// let work = async {
///     // Right: the tenant's own.
///     let own: Vec<OfTenant<Invoice>> =
///         sqlx::query_as("SELECT tenant_id, cents FROM invoice WHERE tenant_id = $1").bind("acme").fetch_all(&pool).await?;
///     assert_eq!(own[0].cents, 42);
///
///     // Wrong: somebody has forgotten the WHERE.
///     let all: Result<Vec<OfTenant<Invoice>>, _> =
///         sqlx::query_as("SELECT tenant_id, cents FROM invoice").fetch_all(&pool).await;
///     assert!(all.is_err());
///     Ok::<(), sqlx::Error>(())
/// };
/// work.in_tenant(acme).await?;
/// assert!(monitoring.render().contains(r#"saas_tenant_isolation_violations_total{tenant="acme",layer="db"} 1"#));
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfTenant<T> {
    row: T,
}

impl<T> OfTenant<T> {
    /// The row.
    pub fn into_inner(self) -> T {
        self.row
    }
}

impl<T> Deref for OfTenant<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.row
    }
}

impl<'r, R, T> FromRow<'r, R> for OfTenant<T>
where
    R: Row,
    T: FromRow<'r, R> + TenantRow,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, Error> {
        check_tenant(row, T::TENANT_COLUMN)?;
        Ok(Self { row: T::from_row(row)? })
    }
}

/// Checks that a row is the current tenant's, by the column that has its id as text: what [`OfTenant`] does, for rows that
/// are read without a type of their own.
///
/// # Errors
/// When the row has no such column, or it is no text; and [`IsolationError`] when the row is not the tenant's.
pub fn check_tenant<'r, R>(row: &'r R, column: &'static str) -> Result<(), Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    static VIOLATIONS: LazyLock<Instruments<IsolationViolations>> = LazyLock::new(Instruments::global);

    let owner: Option<&str> = row.try_get(column)?;
    let acting = Tenant::current();
    // The handle of another monitoring has the name of an unknown tenant here, which no row may have.
    let is_known_to =
        |violations: &&IsolationViolations| acting.is_known() && !violations.tenants().id(acting).starts_with("__");
    let Some(violations) = VIOLATIONS.get().filter(is_known_to) else {
        return Err(Error::Decode(Box::new(IsolationError::NoTenant)));
    };
    if owner == Some(violations.tenants().id(acting)) {
        return Ok(());
    }
    violations.count(acting, IsolationLayer::Db);
    Err(Error::Decode(Box::new(IsolationError::OtherTenant { column })))
}
