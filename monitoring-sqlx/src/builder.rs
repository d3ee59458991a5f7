//! How a pool is set up.

use std::fmt;

use monitoring_core::database::DatabaseInstruments;
use monitoring_core::{Instruments, Monitoring, RegistryError};
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Error};

use crate::database::MeasuredDatabase;
use crate::pool::Pool;

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
}

type ConnectOptions<DB> = <<DB as sqlx::Database>::Connection as Connection>::Options;

impl<DB: MeasuredDatabase> PoolBuilder<DB> {
    pub(crate) fn new() -> Self {
        Self { name: None, options: PoolOptions::new(), instruments: Instruments::global() }
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
        Ok(self)
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
    pub async fn connect_with(self, database: ConnectOptions<DB>) -> Result<Pool<DB>, Error> {
        let pool = self.options.clone().connect_with(database).await?;
        Ok(self.wrap(pool))
    }

    /// Opens the pool without a connection: the first one is made when it is asked for.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn connect_lazy(self, url: &str) -> Result<Pool<DB>, Error> {
        Ok(self.connect_lazy_with(url.parse()?))
    }

    /// Opens the pool without a connection: the first one is made when it is asked for.
    pub fn connect_lazy_with(self, database: ConnectOptions<DB>) -> Pool<DB> {
        let pool = self.options.clone().connect_lazy_with(database);
        self.wrap(pool)
    }

    /// Measures a pool that is open already; the builder's own options have no effect then.
    pub fn wrap(self, pool: sqlx::Pool<DB>) -> Pool<DB> {
        let name = self.name.unwrap_or_else(|| default_name::<DB>(&pool.connect_options()));
        Pool::new(pool, &name, self.instruments)
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
