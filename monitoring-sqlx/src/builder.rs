//! How a pool is set up.

use std::fmt;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use monitoring_core::database::DatabaseInstruments;
use monitoring_core::{Instruments, Monitoring, RegistryError, TenantRegistry};
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Error};

#[cfg(feature = "postgres")]
use crate::connection::AfterBegin;
use crate::database::MeasuredDatabase;
#[cfg(feature = "postgres")]
use crate::isolation::RowLevelSecurity;
use crate::pool::{Pool, TellTenant};
use crate::record::Recorder;
use crate::slow_query::{SlowLog, SlowQueries};
use crate::statement::Statements;

/// The longest name made from that of a database, in characters.
const MAX_NAME: usize = 64;

/// Sets up a [`Pool`] whose name, options or monitoring are not the default ones. Made by [`Pool::builder`].
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use monitoring_core::Monitoring;
/// use monitoring_sqlx::SqlitePool;
/// use sqlx::pool::PoolOptions;
///
/// let monitoring = Monitoring::builder("billing").build()?; // a second one, beside the global one
/// let pool = SqlitePool::builder()
///     .name("invoices")
///     .options(PoolOptions::new().max_connections(1))
///     .monitoring(&monitoring)?
///     .connect("sqlite::memory:")
///     .await?;
/// assert_eq!(pool.name(), "invoices");
/// # assert!(monitoring.render().contains(r#"db_client_connection_max{db_client_connection_pool_name="invoices"} 1"#));
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until it connects"]
pub struct PoolBuilder<DB: MeasuredDatabase> {
    name: Option<String>,
    options: PoolOptions<DB>,
    instruments: Instruments<DatabaseInstruments>,
    statements: Instruments<Statements>,
    max_collections: usize,
    slow_queries: SlowQueries,
    /// Whose tenants are known; `None` for those of the global monitoring.
    tenants: Option<TenantRegistry>,
    names_statements: bool,
    hooks: Option<Box<MakeHooks<DB>>>,
}

/// What is done besides, when a connection is taken and when a transaction begins.
struct Hooks<DB: MeasuredDatabase> {
    options: PoolOptions<DB>,
    tenant: TellTenant<DB>,
}

/// Made when everything else is set.
type MakeHooks<DB> = dyn FnOnce(&PoolBuilder<DB>) -> Hooks<DB> + Send;

type ConnectOptions<DB> = <<DB as sqlx::Database>::Connection as Connection>::Options;

impl<DB: MeasuredDatabase> PoolBuilder<DB> {
    pub(crate) fn new() -> Self {
        Self {
            name: None,
            options: PoolOptions::new(),
            instruments: Instruments::global(),
            statements: Instruments::global(),
            max_collections: 500,
            slow_queries: SlowQueries::default(),
            tenants: None,
            names_statements: true,
            hooks: None,
        }
    }

    /// The pool's name in the label `db_client_connection_pool_name`, at most 256 bytes.
    ///
    /// By default it is the name of the database (with SQLite that of the file, without folder and extension), or of the
    /// database system if that is not known: never the user, the password or the host. Pools of one name add up.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// sqlx's options: limits, time-outs and callbacks. What the callbacks do is not measured.
    pub fn options(mut self, options: PoolOptions<DB>) -> Self {
        self.options = options;
        self
    }

    /// Where the pool is recorded. By default that is the global monitoring, from the moment it is installed.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        self.instruments = Instruments::of(monitoring)?;
        self.statements = Instruments::of(monitoring)?;
        self.tenants = Some(monitoring.tenants().clone());
        Ok(self)
    }

    /// Which statements are slow, and what is done about them: by default those of a second and more.
    pub fn slow_queries(mut self, slow_queries: SlowQueries) -> Self {
        self.slow_queries = slow_queries;
        self
    }

    /// How many different tables may be named in the label `db_collection_name`; 500 by default. What comes later is `_OTHER`.
    /// The tables of all pools count together: each pool adds a name only while there are fewer than its own limit.
    pub fn max_collections(mut self, tables: usize) -> Self {
        self.max_collections = tables;
        self
    }

    /// Opens the pool with at least one connection.
    ///
    /// # Errors
    /// When the URL is invalid, or no connection can be made.
    pub async fn connect(self, url: &str) -> Result<Pool<DB>, Error> {
        self.connect_with(url.parse()?).await
    }

    /// Opens the pool with at least one connection.
    ///
    /// # Errors
    /// When no connection can be made.
    pub async fn connect_with(mut self, database: ConnectOptions<DB>) -> Result<Pool<DB>, Error> {
        let Hooks { options, tenant } = self.take_hooks();
        let pool = options.connect_with(database).await?;
        Ok(self.measure(pool, tenant))
    }

    /// Opens the pool without a connection: the first one is made when it is asked for.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn connect_lazy(self, url: &str) -> Result<Pool<DB>, Error> {
        Ok(self.connect_lazy_with(url.parse()?))
    }

    /// Opens the pool without a connection: the first one is made when it is asked for.
    pub fn connect_lazy_with(mut self, database: ConnectOptions<DB>) -> Pool<DB> {
        let Hooks { options, tenant } = self.take_hooks();
        let pool = options.connect_lazy_with(database);
        self.measure(pool, tenant)
    }

    /// Measures a pool that is open already; the builder's own options have no effect then, nor has row level security for
    /// each session.
    pub fn wrap(mut self, pool: sqlx::Pool<DB>) -> Pool<DB> {
        let tenant = TellTenant { on_acquire: false, ..self.take_hooks().tenant };
        self.measure(pool, tenant)
    }

    fn take_hooks(&mut self) -> Hooks<DB> {
        match self.hooks.take() {
            Some(hooks) => hooks(self),
            None => {
                Hooks { options: self.options.clone(), tenant: TellTenant { on_acquire: false, after_begin: None } }
            }
        }
    }

    fn measure(self, pool: sqlx::Pool<DB>, tenant: TellTenant<DB>) -> Pool<DB> {
        let name = self.name.unwrap_or_else(|| default_name::<DB>(&pool.connect_options()));
        let slow = SlowLog::new(self.slow_queries, &pool, &name);
        let recorder =
            Recorder::new(self.instruments, self.statements, self.max_collections, slow, self.names_statements);
        Pool::new(pool, &name, recorder, tenant)
    }
}

#[cfg(feature = "postgres")]
impl PoolBuilder<sqlx::Postgres> {
    /// The pool is one of connections to a pooler in transaction mode: pgbouncer, or that of Supabase. Statements are prepared
    /// without a name then, because a named one is there for the next client who gets the same connection of the server, and not
    /// for who has prepared it. Add `statement_cache_capacity(0)` to the options to connect with.
    ///
    /// sqlx prepares a statement in one step and executes it in the next, and outside of a transaction a pooler may hand the
    /// connection of the server on in between. So a statement on the pool itself is a transaction of its own: two round trips
    /// more, measured as `BEGIN` and `COMMIT`, and a stream that is not read to its end is undone. What cannot be in a
    /// transaction, such as `VACUUM`, goes by [`raw_sql`](sqlx::raw_sql) on an [acquired](Pool::acquire) connection. **On such
    /// a connection use nothing else outside of a transaction.**
    pub fn transaction_pooler(mut self) -> Self {
        self.names_statements = false;
        self
    }

    /// Has PostgreSQL show only the rows of the tenant that a connection is taken, or a transaction is begun, for: see
    /// [`RowLevelSecurity`]. For each session, it takes the place of the options' own `after_connect` and `before_acquire`.
    ///
    /// The pool must be opened by this builder, and not [wrapped](Self::wrap), for connections to be told. With
    /// [`transaction_pooler`](Self::transaction_pooler) it is always made for each transaction.
    pub fn row_level_security(mut self, security: RowLevelSecurity) -> Self {
        self.hooks = Some(Box::new(move |builder| {
            let (options, tenants) = (builder.options.clone(), builder.tenants.clone());
            // What is set for a session of a pooler's is there for its next client.
            let security = if builder.names_statements { security } else { security.for_transactions() };
            let setting = security.of(tenants);
            if !setting.is_per_transaction() {
                let tenant = TellTenant { on_acquire: true, after_begin: None };
                return Hooks { options: setting.on_acquire(options), tenant };
            }
            let after_begin: AfterBegin<sqlx::Postgres> = Arc::new(move |connection| {
                let setting = setting.clone();
                Box::pin(async move { setting.tell(connection).await })
            });
            Hooks { options, tenant: TellTenant { on_acquire: false, after_begin: Some(after_begin) } }
        }));
        self
    }
}

fn default_name<DB: MeasuredDatabase>(options: &ConnectOptions<DB>) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let plain = |letter| if is_plain(letter) { letter } else { '_' };
    DB::database_name(options)
        .map(|name| name.chars().take(MAX_NAME).map(plain).collect::<String>())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| DB::NAME.to_ascii_lowercase())
}

impl<DB: MeasuredDatabase> fmt::Debug for PoolBuilder<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{Postgres, Sqlite};

    use super::*;

    fn postgres_name(url: &str) -> String {
        default_name::<Postgres>(&url.parse::<PgConnectOptions>().unwrap())
    }

    fn sqlite_name(url: &str) -> String {
        default_name::<Sqlite>(&url.parse::<SqliteConnectOptions>().unwrap())
    }

    #[test]
    fn a_pool_is_named_after_its_database_and_never_after_user_or_host() {
        assert_eq!(postgres_name("postgres://secret-user:secret@secret-host/shop"), "shop");
        assert_eq!(sqlite_name("sqlite:///srv/secret-folder/shop.v2.db"), "shop.v2");
    }

    #[test]
    fn a_pool_whose_database_has_no_name_is_named_after_the_system() {
        assert_eq!(sqlite_name("sqlite::memory:"), "sqlite");
        assert_eq!(default_name::<Postgres>(&PgConnectOptions::new_without_pgpass().database("")), "postgresql");
    }

    #[test]
    fn an_odd_database_name_makes_a_short_and_plain_pool_name() {
        let options = PgConnectOptions::new_without_pgpass().database(&"é\"\n/".repeat(100));
        let name = default_name::<Postgres>(&options);
        assert_eq!(name, "_".repeat(MAX_NAME));
    }
}
