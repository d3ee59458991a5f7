//! What can keep the service from starting. Each message names the setting and what to do about it.

use std::io;
use std::net::SocketAddr;

use monitoring_axum::{InvalidPage, ListenError};
use monitoring_core::health::{DrainError, HealthError, InvalidTarget};
use monitoring_core::{
    ConfigError, InstallError, RegistryError, ShutdownError, TenantIdError, TenantRegistryError, UnknownTier,
};
use thiserror::Error;

/// Why the service did not start, or did not stop in order.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log filter cannot be read.
    #[error("RUST_LOG cannot be read: {0}; give a filter such as `info` or `saas=debug`")]
    LogFilter(#[from] tracing_subscriber::filter::FromEnvError),

    /// The monitoring's settings cannot be read.
    #[error(transparent)]
    MonitoringConfig(#[from] ConfigError),

    /// The monitoring cannot be installed.
    #[error(transparent)]
    Monitoring(#[from] InstallError),

    /// The metrics have nowhere to listen.
    #[error("{0}; --metrics sets the address too")]
    MetricsListener(#[from] ListenError),

    /// The service has nowhere to listen.
    #[error("cannot listen on {address}: {source}; set --listen to an address of this machine with a free port")]
    Listen {
        /// The address that was to be bound.
        address: SocketAddr,
        /// Why it was not.
        source: io::Error,
    },

    /// Strangers could sign tokens.
    #[error(
        "--listen {0} can be reached by others, who know the development secret: set JWT_SECRET (or --jwt-secret) to a \
         secret of your own, or listen on 127.0.0.1"
    )]
    PublicSecret(SocketAddr),

    /// The database's URL cannot be used. It is not shown, because it may hold a password.
    #[error(
        "the database URL (--database-url or DATABASE_URL) cannot be used: {0}; expected sqlite:FILE or \
         postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    DatabaseUrl(String),

    /// The database cannot be reached.
    #[error(
        "cannot open the database at --database-url (or DATABASE_URL): {0}; does it exist, and is its server running?"
    )]
    DatabaseUnreachable(#[source] sqlx::Error),

    /// The database's tables are not those of this version.
    #[error(
        "the tables at --database-url (or DATABASE_URL) cannot be brought up to date: {0}; use an empty database if \
         these are not this service's"
    )]
    Migration(#[from] sqlx::migrate::MigrateError),

    /// A statement failed while the tenants were read.
    #[error("the tenants cannot be read from the database: {0}")]
    Database(#[from] sqlx::Error),

    /// A listed tenant has no valid id.
    #[error("the table `tenants` lists an id that cannot be used: {0}; correct or remove it")]
    TenantId(#[from] TenantIdError),

    /// A listed tenant has no valid tier.
    #[error("the table `tenants` has a tier that cannot be used: {0}; correct it")]
    Tier(#[from] UnknownTier),

    /// More tenants are listed than the monitoring takes.
    #[error(transparent)]
    Tenants(#[from] TenantRegistryError),

    /// The cache cannot be used.
    #[error("cannot use the cache at --redis-url (or REDIS_URL): {0}; leave it out to run without a cache")]
    Cache(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The identity provider cannot be started, or the client for it cannot be set up.
    #[error("the built-in identity provider cannot be started on the loopback interface: {0}")]
    IdentityProvider(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The dependencies cannot be checked.
    #[error(transparent)]
    Health(#[from] HealthError),

    /// A dependency has an address that is none.
    #[error(transparent)]
    Target(#[from] InvalidTarget),

    /// A metric's name is taken by another one.
    #[error(transparent)]
    Metrics(#[from] RegistryError),

    /// A page is listed twice.
    #[error(transparent)]
    Page(#[from] InvalidPage),

    /// The server failed while it was running, or cannot be told to stop.
    #[error(transparent)]
    Serve(#[from] DrainError),

    /// The monitoring did not come to rest in time.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
}
