//! What a pool connects to: one server, a cluster, or the server that Sentinel names.
//!
//! [`Pool`](crate::Pool), its builder and its connections are generic over it, so that all of them are measured by the same
//! code; what differs is here.
//!
//! ```text
//! server.rs    one server
//! cluster.rs   a cluster: the client finds the node, and follows redirects itself
//! sentinel.rs  a master or its replicas, by the address that Sentinel names when a connection is made
//! ```

use std::fmt;
use std::time::Duration;

use deadpool::managed;
use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{IntoConnectionInfo, RedisError};
use deadpool_redis::{ConfigError, PoolConfig};

use crate::transport::Transport;

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "sentinel")]
mod sentinel;
mod server;

#[cfg(feature = "cluster")]
pub use cluster::Cluster;
#[cfg(feature = "sentinel")]
pub use sentinel::Sentinel;
pub use server::Server;

/// What a [`Pool`](crate::Pool) connects to: [`Server`], and with the features of their names `Cluster` and `Sentinel`.
/// Nobody else can implement it.
pub trait Topology: sealed::Sealed + Sized + Send + Sync + 'static {
    /// deadpool's maker of connections.
    type Manager: managed::Manager<Type = Self::Bare, Error = RedisError> + 'static;

    /// deadpool's connection, which goes back to its pool when dropped.
    type Pooled: From<managed::Object<Self::Manager>> + AsRef<Self::Bare> + AsMut<Self::Bare> + Send + Sync + 'static;

    /// The client's connection.
    type Bare: ConnectionLike + Transport + Clone + Send + Sync + 'static;

    /// deadpool's configuration of such a pool.
    type Config: Clone + Default + fmt::Debug + Send + 'static;

    /// Whether the client itself ends the wait for a reply, by the time-out that it is given.
    #[doc(hidden)]
    const LIMITS_RESPONSES: bool;

    /// Gives the client that time-out.
    #[doc(hidden)]
    fn limit_responses(connection: &mut Self::Bare, timeout: Duration);

    /// deadpool's builder of the pool.
    #[doc(hidden)]
    fn builder(config: &Self::Config) -> Result<managed::PoolBuilder<Self::Manager, Self::Pooled>, ConfigError>;

    /// Where the pool connects to, without user and password.
    #[doc(hidden)]
    fn address(config: &Self::Config) -> Result<String, ConfigError>;

    /// The limits and time-outs in the configuration.
    #[doc(hidden)]
    fn options(config: &mut Self::Config) -> &mut Option<PoolConfig>;
}

mod sealed {
    /// Implemented for the topologies of this crate only.
    pub trait Sealed {}
}

fn address_of(connection: impl IntoConnectionInfo) -> Result<String, ConfigError> {
    Ok(connection.into_connection_info()?.addr().to_string())
}

/// Addresses in a row, of a configuration that has either URLs or connections.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn addresses_of(
    urls: Option<&Vec<String>>,
    connections: Option<&Vec<deadpool_redis::ConnectionInfo>>,
) -> Result<String, ConfigError> {
    let addresses: Result<Vec<String>, ConfigError> = match (urls, connections) {
        (Some(_), Some(_)) => return Err(ConfigError::UrlAndConnectionSpecified),
        (Some(urls), None) => urls.iter().map(|url| address_of(url.as_str())).collect(),
        (None, Some(connections)) => connections.iter().cloned().map(address_of).collect(),
        (None, None) => return address_of(deadpool_redis::ConnectionInfo::default()),
    };
    Ok(addresses?.join(", "))
}
