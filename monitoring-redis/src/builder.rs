//! How a pool is set up.

use std::fmt;

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo};
use deadpool_redis::{Config, ConfigError, PoolConfig, Runtime};
use monitoring_core::database::DatabaseInstruments;
use monitoring_core::{Instruments, Monitoring, RegistryError};

use crate::error::SetupError;
use crate::pool::Pool;

/// Sets up a [`Pool`] whose name, options or monitoring are not the default ones. Made by [`Pool::builder`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use monitoring_core::Monitoring;
/// use monitoring_redis::{Pool, PoolConfig};
///
/// let monitoring = Monitoring::builder("shop").build()?; // a second one, beside the global one
/// let carts = Pool::builder()
///     .url("redis://127.0.0.1:6379/0")
///     .name("carts")
///     .options(PoolConfig::new(4))
///     .monitoring(&monitoring)?
///     .build()?;
/// assert_eq!(carts.name(), "carts");
/// # assert!(monitoring.render().contains(r#"db_client_connection_max{db_client_connection_pool_name="carts"} 4"#));
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder {
    name: String,
    config: Config,
    instruments: Instruments<DatabaseInstruments>,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self { name: "redis".to_owned(), config: Config::default(), instruments: Instruments::global() }
    }

    /// The pool's name in the label `db_client_connection_pool_name`, at most 256 bytes. Default `redis`. Pools of one name
    /// add up.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
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

    /// The server, by a URL such as `redis://127.0.0.1:6379/0`, which is the default. Whatever server was set before is
    /// forgotten; the options stay.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.config = Config { pool: self.config.pool, ..Config::from_url(url) };
        self
    }

    /// deadpool's limits and time-outs. By default twice as many connections as processors, and no time-outs.
    pub fn options(mut self, options: PoolConfig) -> Self {
        self.config.pool = Some(options);
        self
    }

    /// deadpool's whole configuration, such as one that was read from a file: server and options, in place of what was set
    /// before.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The pool, on the Tokio runtime. It connects when first asked to.
    ///
    /// # Errors
    /// When the URL or another setting is invalid.
    pub fn build(self) -> Result<Pool, SetupError> {
        let server = server(&self.config).map_err(|source| self.connection_error(source))?;
        let pool = self.config.builder().map_err(|source| self.connection_error(source))?;
        let pool = pool
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|source| SetupError::Pool { pool: self.name.as_str().into(), source })?;
        Ok(Pool::over(pool, &self.name, &server, self.instruments))
    }

    /// Measures a pool that was built elsewhere, with hooks or connection settings of its own; the builder's own server and
    /// options have no effect then.
    pub fn wrap(self, pool: deadpool_redis::Pool) -> Pool {
        Pool::over(pool, &self.name, "its server", self.instruments)
    }

    fn connection_error(&self, source: ConfigError) -> SetupError {
        SetupError::Connection { pool: self.name.as_str().into(), source }
    }
}

/// The address in a configuration, without user and password.
fn server(config: &Config) -> Result<String, ConfigError> {
    let connection: ConnectionInfo = match (&config.url, &config.connection) {
        (Some(_), Some(_)) => return Err(ConfigError::UrlAndConnectionSpecified),
        (Some(url), None) => url.as_str().into_connection_info()?,
        (None, Some(connection)) => connection.clone().into_connection_info()?,
        (None, None) => deadpool_redis::ConnectionInfo::default().into_connection_info()?,
    };
    Ok(connection.addr().to_string())
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PoolBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn an_invalid_url_is_one_clear_error_without_the_password() {
        for url in ["localhost:secret@", "http://:secret@localhost/", "redis://:secret@localhost/database", ""] {
            let error = Pool::builder().name("carts").url(url).build().unwrap_err();
            let mut text = format!("{error} {error:?}");
            let mut source = error.source();
            while let Some(error) = source {
                text.push_str(&format!("{error} {error:?}"));
                source = error.source();
            }
            assert!(text.contains("the Redis URL or connection of pool `carts` is invalid"), "{text}");
            assert!(text.contains("redis://[user:password@]host[:port][/database]"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_configuration_with_both_url_and_connection_is_refused() {
        let mut config = Config::from_url("redis://localhost/");
        config.connection = Some(deadpool_redis::ConnectionInfo::default());
        let error = Pool::new(&config).unwrap_err();
        assert!(error.to_string().contains("url and connection must not be specified at the same time"), "{error}");
    }

    #[test]
    fn the_last_server_set_counts_and_the_options_stay_with_it() {
        let pool = Pool::builder()
            .config(Config::default())
            .options(PoolConfig::new(3))
            .url("redis://cache.example:6380/2")
            .build()
            .unwrap();
        assert_eq!(pool.status().max_size, 3);
        let whole = Config { pool: Some(PoolConfig::new(5)), ..Config::default() };
        let pool = Pool::builder().url("no URL").options(PoolConfig::new(3)).config(whole).build().unwrap();
        assert_eq!(pool.status().max_size, 5);
        assert!(Pool::builder().config(Config::default()).url("no URL").build().is_err());
    }

    #[test]
    fn the_server_is_named_without_user_and_password() {
        let config = Config::from_url("redis://name:secret@cache.example:6380/2");
        assert_eq!(server(&config).unwrap(), "cache.example:6380");
        assert_eq!(server(&Config::from_url("redis+unix:///run/redis.sock?pass=secret")).unwrap(), "/run/redis.sock");
        assert_eq!(server(&Config::default()).unwrap(), "127.0.0.1:6379");
    }

    #[test]
    fn neither_pool_nor_builder_shows_the_password_when_debugged() {
        let pool = Pool::from_url("redis://name:secret@localhost/").unwrap();
        let text = format!("{pool:?} {:?}", Pool::builder().url("redis://name:secret@localhost/"));
        assert!(text.contains("name: \"redis\"") && !text.contains("secret"), "{text}");
    }
}
