//! PostgreSQL's own row level security, for the tenant that a connection was taken for.

use std::fmt;
use std::sync::Arc;

use monitoring_core::{Monitoring, Tenant, TenantRegistry};
use sqlx::pool::PoolOptions;
use sqlx::{Error, PgConnection, Postgres};

/// How PostgreSQL gets to know whose rows it may show: by a setting, `app.tenant_id` unless named otherwise, which the
/// policies of the tables compare with the column that names the tenant.
///
/// ```sql
/// ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
/// ALTER TABLE invoice FORCE ROW LEVEL SECURITY;   -- for the owner of the table too
/// CREATE POLICY of_the_tenant ON invoice
///     USING (tenant_id = current_setting('app.tenant_id', true))
///     WITH CHECK (tenant_id = current_setting('app.tenant_id', true));
/// ```
///
/// The service must not be a superuser, nor have `BYPASSRLS`: policies do not hold for those, so that such a role gets an error
/// and no connection. The owner of a table is not found out: for it there is `FORCE`. Work for no tenant, and for one
/// that is not registered, has an empty setting, with which such a policy shows nothing.
///
/// ```no_run
/// # async fn example(url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use monitoring_sqlx::{PgPool, RowLevelSecurity};
///
/// let pool = PgPool::builder().row_level_security(RowLevelSecurity::per_session()).connect(url).await?;
/// // Whoever runs this, for whichever tenant, sees the tenant's own invoices.
/// let invoices: Vec<(i64,)> = sqlx::query_as("SELECT cents FROM invoice").fetch_all(&pool).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is given to PoolBuilder::row_level_security"]
pub struct RowLevelSecurity {
    setting: Arc<str>,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Session,
    Transaction,
}

/// A name that cannot be that of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a setting of PostgreSQL: expected two names with a dot between, such as `app.tenant_id`")]
pub struct InvalidSetting {
    name: String,
}

impl RowLevelSecurity {
    /// The setting is made each time that a connection is taken from the pool, for the tenant who takes it, and lasts as long
    /// as it is held: one round trip for each, in place of the one by which sqlx tests a connection. If it fails, the connection
    /// is closed and not handed out.
    ///
    /// Whoever takes a connection in one tenant's scope and works for another on it, has the rows of the first.
    pub fn per_session() -> Self {
        Self { setting: "app.tenant_id".into(), scope: Scope::Session }
    }

    /// The setting is made at the beginning of each transaction, for the tenant who begins it, and ends with it: one round
    /// trip more for each. If it fails, so does the begin.
    ///
    /// This is the one for a pooler in transaction mode (pgbouncer, Supabase), where a session is not one's own. A statement
    /// on the pool itself is in a transaction of its own; one on a connection, outside of transactions, has no tenant and so sees
    /// nothing.
    pub fn per_transaction() -> Self {
        Self::per_session().for_transactions()
    }

    /// The same setting, for each transaction.
    pub(crate) fn for_transactions(self) -> Self {
        Self { scope: Scope::Transaction, ..self }
    }

    /// Another name of the setting.
    ///
    /// # Errors
    /// When it is none that PostgreSQL takes for a setting of an application.
    pub fn setting(mut self, name: &str) -> Result<Self, InvalidSetting> {
        let is_name = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        };
        match name.split_once('.') {
            Some((class, own)) if name.len() <= 63 && is_name(class) && is_name(own) => {
                self.setting = name.into();
                Ok(self)
            }
            _ => Err(InvalidSetting { name: name.chars().take(64).collect() }),
        }
    }

    /// The setting, for the tenants of that monitoring, or else of the global one.
    pub(crate) fn of(&self, tenants: Option<TenantRegistry>) -> TenantSetting {
        TenantSetting { setting: Arc::clone(&self.setting), tenants, is_local: self.scope == Scope::Transaction }
    }
}

const POLICIES_DO_NOT_HOLD: &str = "row level security does not hold for the role of this connection: expected one that is no \
                                    superuser and has no BYPASSRLS; connect as another role, or have this one \
                                    `ALTER ROLE … SET role`";

/// Tells PostgreSQL who the current tenant is.
#[derive(Clone)]
pub(crate) struct TenantSetting {
    setting: Arc<str>,
    tenants: Option<TenantRegistry>,
    /// Until the end of the transaction.
    is_local: bool,
}

impl TenantSetting {
    pub(crate) fn is_per_transaction(&self) -> bool {
        self.is_local
    }

    /// Has every connection told before it is handed out, also to who goes past the wrapper.
    pub(crate) fn on_acquire(self, options: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
        let opened = self.clone();
        options
            // To tell it is to test it, so there is no need of sqlx's own round trip.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let setting = opened.clone();
                Box::pin(async move { setting.tell(connection).await })
            })
            .before_acquire(move |connection, _| {
                let setting = self.clone();
                Box::pin(async move { setting.tell(connection).await.map(|()| true) })
            })
    }

    pub(crate) async fn tell(&self, connection: &mut PgConnection) -> Result<(), Error> {
        // The id is a bind, so it can be nothing but a text.
        let told = sqlx::query(
            "SELECT set_config($1, $2, $3) FROM pg_catalog.pg_roles
             WHERE rolname = current_user AND NOT (rolsuper OR rolbypassrls)",
        )
        .bind(&*self.setting)
        .bind(self.current_id())
        .bind(self.is_local)
        // A transaction may be behind a pooler, where a name is not one's own.
        .persistent(!self.is_local)
        .execute(connection)
        .await?;
        if told.rows_affected() == 0 {
            return Err(Error::Configuration(POLICIES_DO_NOT_HOLD.into()));
        }
        Ok(())
    }

    /// The current tenant's id; empty where there is none that is registered.
    fn current_id(&self) -> &str {
        let tenants = self.tenants.as_ref().or_else(|| Monitoring::global().map(Monitoring::tenants));
        let tenant = Tenant::current();
        match tenants {
            Some(tenants) if tenant.is_known() => {
                let id = tenants.id(tenant);
                // The handle of another monitoring has the name of an unknown tenant here.
                if id.starts_with("__") { "" } else { id }
            }
            _ => "",
        }
    }
}

impl fmt::Debug for TenantSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TenantSetting")
            .field("setting", &self.setting)
            .field("is_local", &self.is_local)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_postgresql_takes_for_a_setting_can_be_one() {
        for name in ["app.tenant_id", "my_app._t1"] {
            assert!(RowLevelSecurity::per_session().setting(name).is_ok(), "{name}");
        }
        let long = format!("app.{}", "x".repeat(100));
        for name in
            ["", "tenant", "app.", ".id", "app.1d", "app.tenant.id", "app.tenant id", "app.te'nant", "größe.x", &long]
        {
            let error = RowLevelSecurity::per_session().setting(name).unwrap_err();
            assert!(error.to_string().contains("app.tenant_id"), "{error}");
        }
    }
}
