//! A cluster.

use std::time::Duration;

use deadpool::managed;
use deadpool_redis::cluster::{ClusterConnection, Config, Connection, Manager};
use deadpool_redis::{ConfigError, PoolConfig};

use super::{Topology, addresses_of, sealed};
use crate::{ClusterPool, PoolBuilder};

/// A cluster: the [`Topology`] of a [`ClusterPool`](crate::ClusterPool).
#[derive(Clone, Copy, Debug)]
pub enum Cluster {}

impl sealed::Sealed for Cluster {}

impl Topology for Cluster {
    type Manager = Manager;
    type Pooled = Connection;
    type Bare = ClusterConnection;
    type Config = Config;

    /// deadpool's manager leaves the client's time-outs as they are, and by default it has none.
    const LIMITS_RESPONSES: bool = false;

    fn limit_responses(_connection: &mut Self::Bare, _timeout: Duration) {}

    fn builder(config: &Config) -> Result<managed::PoolBuilder<Self::Manager, Self::Pooled>, ConfigError> {
        config.builder()
    }

    fn address(config: &Config) -> Result<String, ConfigError> {
        addresses_of(config.urls.as_ref(), config.connections.as_ref())
    }

    fn options(config: &mut Config) -> &mut Option<PoolConfig> {
        &mut config.pool
    }
}

impl ClusterPool {
    /// Sets up a pool of a cluster, which is found by some of its nodes: URLs such as `redis://127.0.0.1:7000`.
    ///
    /// Each of the pool's connections leads to all nodes, so a few are enough.
    ///
    /// ```
    /// # fn main() -> Result<(), monitoring_redis::SetupError> {
    /// use monitoring_redis::{ClusterPool, PoolConfig};
    ///
    /// let pool: ClusterPool = ClusterPool::cluster(["redis://127.0.0.1:7000", "redis://127.0.0.1:7001"])
    ///     .name("carts")
    ///     .options(PoolConfig::new(2))
    ///     .build()?;
    /// # let _ = pool;
    /// # Ok(()) }
    /// ```
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> PoolBuilder<Cluster> {
        PoolBuilder::new(Config::from_urls(urls.into_iter().map(Into::into).collect::<Vec<_>>()))
    }
}

impl PoolBuilder<Cluster> {
    /// Lets replicas answer what only reads. They may be behind.
    pub fn read_from_replicas(mut self) -> Self {
        self.config.read_from_replicas = true;
        self
    }
}

impl From<deadpool_redis::cluster::Pool> for ClusterPool {
    fn from(pool: deadpool_redis::cluster::Pool) -> Self {
        PoolBuilder::new(Config::default()).wrap(pool)
    }
}
