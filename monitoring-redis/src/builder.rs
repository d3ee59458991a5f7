//! How a pool is set up.

use std::fmt;
use std::time::Duration;

use deadpool::managed;
use deadpool_redis::{Config, ConfigError, PoolConfig, Runtime};
use monitoring_core::database::DatabaseInstruments;
use monitoring_core::{Instruments, Monitoring, RegistryError};

use crate::error::SetupError;
use crate::hits::Hits;
use crate::instruments::RedisInstruments;
use crate::pool::Pool;
use crate::record::Recorder;
use crate::topology::{Server, Topology};

/// Sets up a [`Pool`] whose name, options or monitoring are not the default ones. Made by [`Pool::builder`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_redis::{Pool, PoolConfig};
///
/// let monitoring = Monitoring::builder("shop").build()?; // a second one, beside the global one
/// let carts = Pool::builder()
///     .url("redis://127.0.0.1:6379/0")
///     .name("carts")
///     .options(PoolConfig::new(4))
///     .response_timeout(Duration::from_millis(200))
///     .monitoring(&monitoring)?
///     .build()?;
/// assert_eq!(carts.name(), "carts");
/// # assert!(monitoring.render().contains(r#"db_client_connection_max{db_client_connection_pool_name="carts"} 4"#));
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder<T: Topology = Server> {
    name: String,
    pub(crate) config: T::Config,
    instruments: Instruments<DatabaseInstruments>,
    own: Instruments<RedisInstruments>,
    counts_hits: bool,
    response_timeout: Option<Duration>,
}

impl PoolBuilder {
    /// The server, by a URL such as `redis://127.0.0.1:6379/0`, which is the default. Whatever server was set before is
    /// forgotten; the options stay.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.config = Config { pool: self.config.pool, ..Config::from_url(url) };
        self
    }
}

impl<T: Topology> PoolBuilder<T> {
    /// The client's own default for one server. It has none for a cluster.
    const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

    pub(crate) fn new(config: T::Config) -> Self {
        Self {
            name: "redis".to_owned(),
            config,
            instruments: Instruments::global(),
            own: Instruments::global(),
            counts_hits: true,
            response_timeout: None,
        }
    }

    /// The pool's name in the labels `db_client_connection_pool_name` and `cache`, at most 256 bytes. Default `redis`. Pools
    /// of one name add up.
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
        self.own = Instruments::of(monitoring)?;
        Ok(self)
    }

    /// Leaves the replies to `GET` and its like out of `saas.cache.requests`: for a pool that is no cache, where a value that
    /// is not there is nothing to worry about, such as one for locks.
    pub fn without_hits(mut self) -> Self {
        self.counts_hits = false;
        self
    }

    /// How long a command or a pipeline may wait for its reply: past it, it has failed with a time-out, and its connection
    /// goes on. Default 500 ms. Give a pool of its own to commands that wait at the server, such as `BLPOP`.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = Some(timeout);
        self
    }

    /// deadpool's limits and time-outs. By default twice as many connections as processors, and no time-outs.
    pub fn options(mut self, options: PoolConfig) -> Self {
        *T::options(&mut self.config) = Some(options);
        self
    }

    /// deadpool's whole configuration, such as one that was read from a file: server and options, in place of what was set
    /// before.
    pub fn config(mut self, config: T::Config) -> Self {
        self.config = config;
        self
    }

    /// The pool, on the Tokio runtime. It connects when first asked to.
    ///
    /// # Errors
    /// When the URL or another setting is invalid.
    pub fn build(self) -> Result<Pool<T>, SetupError> {
        let server = T::address(&self.config).map_err(|source| self.connection_error(source))?;
        let pool = T::builder(&self.config).map_err(|source| self.connection_error(source))?;
        let timeout = self.response_timeout.unwrap_or(Self::RESPONSE_TIMEOUT);
        let pool = pool
            .runtime(Runtime::Tokio1)
            .post_create(self.when_created(timeout))
            .build()
            .map_err(|source| SetupError::Pool { pool: self.name.as_str().into(), source })?;
        let deadline = (!T::LIMITS_RESPONSES).then_some(timeout);
        Ok(self.over(pool, &server, deadline))
    }

    /// Measures a pool that was built elsewhere, with hooks or connection settings of its own; the builder's own server and
    /// options have no effect then, and the connections that it makes are not counted. A
    /// [`response_timeout`](Self::response_timeout) comes on top of that of its connections.
    pub fn wrap(self, pool: managed::Pool<T::Manager, T::Pooled>) -> Pool<T> {
        let deadline = self.response_timeout;
        self.over(pool, "its server", deadline)
    }

    /// What is done with each connection when it has been made.
    fn when_created(&self, response_timeout: Duration) -> managed::Hook<T::Manager> {
        let (own, name) = (self.own.clone(), self.name.clone());
        managed::Hook::sync_fn(move |connection, _metrics| {
            T::limit_responses(connection, response_timeout);
            if let Some(instruments) = own.get() {
                instruments.connection_created(&name);
            }
            Ok(())
        })
    }

    fn over(self, pool: managed::Pool<T::Manager, T::Pooled>, server: &str, deadline: Option<Duration>) -> Pool<T> {
        let Self { name, instruments, own, counts_hits, .. } = self;
        let hits = counts_hits.then(|| Hits::new(own, &name));
        Pool::over(pool, &name, server, Recorder { instruments, hits, deadline })
    }

    fn connection_error(&self, source: ConfigError) -> SetupError {
        SetupError::Connection { pool: self.name.as_str().into(), source }
    }
}

impl<T: Topology> fmt::Debug for PoolBuilder<T> {
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
    fn neither_pool_nor_builder_shows_the_password_when_debugged() {
        let pool = Pool::from_url("redis://name:secret@localhost/").unwrap();
        let text = format!("{pool:?} {:?}", Pool::builder().url("redis://name:secret@localhost/"));
        assert!(text.contains("name: \"redis\"") && !text.contains("secret"), "{text}");
    }
}
