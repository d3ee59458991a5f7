//! The server that Sentinel names.

use std::time::Duration;

use deadpool::managed;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::sentinel::{Config, Connection, Manager, SentinelNodeConnectionInfo, SentinelServerType};
use deadpool_redis::{ConfigError, PoolConfig, RedisConnectionInfo};

use super::{Topology, addresses_of, sealed};
use crate::{PoolBuilder, SentinelPool};

/// A master, or its replicas, by Sentinel: the [`Topology`] of a [`SentinelPool`](crate::SentinelPool).
#[derive(Clone, Copy, Debug)]
pub enum Sentinel {}

impl sealed::Sealed for Sentinel {}

impl Topology for Sentinel {
    type Manager = Manager;
    type Pooled = Connection;
    type Bare = MultiplexedConnection;
    type Config = Config;

    const LIMITS_RESPONSES: bool = true;

    fn limit_responses(connection: &mut Self::Bare, timeout: Duration) {
        connection.set_response_timeout(timeout);
    }

    fn builder(config: &Config) -> Result<managed::PoolBuilder<Self::Manager, Self::Pooled>, ConfigError> {
        config.builder()
    }

    fn address(config: &Config) -> Result<String, ConfigError> {
        let sentinels = addresses_of(config.urls.as_ref(), config.connections.as_ref())?;
        Ok(format!("`{}` by the sentinels at {sentinels}", config.master_name))
    }

    fn options(config: &mut Config) -> &mut Option<PoolConfig> {
        &mut config.pool
    }
}

impl SentinelPool {
    /// Sets up a pool of the master that is called `master` by the sentinels at these URLs, such as
    /// `redis://127.0.0.1:26379`. Each new connection asks them anew, and so goes to the new master after a failover.
    ///
    /// ```
    /// # fn main() -> Result<(), monitoring_redis::SetupError> {
    /// use monitoring_redis::SentinelPool;
    ///
    /// let pool: SentinelPool = SentinelPool::sentinel(["redis://127.0.0.1:26379"], "mymaster").name("carts").build()?;
    /// # let _ = pool;
    /// # Ok(()) }
    /// ```
    pub fn sentinel<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        master: impl Into<String>,
    ) -> PoolBuilder<Sentinel> {
        let urls: Vec<_> = urls.into_iter().map(Into::into).collect();
        PoolBuilder::new(Config::from_urls(urls, master.into(), SentinelServerType::Master))
    }
}

impl PoolBuilder<Sentinel> {
    /// The master's replicas in place of the master: for what only reads, and may be behind.
    pub fn replicas(mut self) -> Self {
        self.config.server_type = SentinelServerType::Replica;
        self
    }

    /// User, password, database and protocol at the servers; those in the URLs are for the sentinels.
    pub fn server_login(mut self, login: RedisConnectionInfo) -> Self {
        let of_servers = self.config.node_connection_info.take().unwrap_or_default();
        self.config.node_connection_info =
            Some(SentinelNodeConnectionInfo { redis_connection_info: Some(login), ..of_servers });
        self
    }
}

impl From<deadpool_redis::sentinel::Pool> for SentinelPool {
    fn from(pool: deadpool_redis::sentinel::Pool) -> Self {
        PoolBuilder::new(Config::default()).wrap(pool)
    }
}
