//! One server.

use std::time::Duration;

use deadpool::managed;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::{Config, ConfigError, ConnectionInfo, PoolConfig};

use super::{Topology, address_of, sealed};

/// One server: the [`Topology`] of a [`Pool`](crate::Pool) that names none.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

impl sealed::Sealed for Server {}

impl Topology for Server {
    type Manager = deadpool_redis::Manager;
    type Pooled = deadpool_redis::Connection;
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
        match (&config.url, &config.connection) {
            (Some(_), Some(_)) => Err(ConfigError::UrlAndConnectionSpecified),
            (Some(url), None) => address_of(url.as_str()),
            (None, Some(connection)) => address_of(connection.clone()),
            (None, None) => address_of(ConnectionInfo::default()),
        }
    }

    fn options(config: &mut Config) -> &mut Option<PoolConfig> {
        &mut config.pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_user_and_password() {
        let address = |url: &str| Server::address(&Config::from_url(url)).unwrap();
        assert_eq!(address("redis://name:secret@cache.example:6380/2"), "cache.example:6380");
        assert_eq!(address("redis+unix:///run/redis.sock?pass=secret"), "/run/redis.sock");
        assert_eq!(Server::address(&Config::default()).unwrap(), "127.0.0.1:6379");
    }
}
