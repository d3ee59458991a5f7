//! The families that only Redis has; the others are those of every database.

use monitoring_core::catalogue::{SAAS_CACHE_REQUESTS, SAAS_DB_CONNECTIONS_CREATED, SAAS_PUBSUB_MESSAGES};
use monitoring_core::{Counter, InstrumentSet, LabelSet, LabelValue, Registry, RegistryError, Symbol, TenantCounter};

/// How a request to a cache ended; label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub(crate) enum CacheResult {
    /// The value was there.
    Hit,
    /// It was not.
    Miss,
    /// The cache could not tell.
    Error,
}

/// The labels of `saas.cache.requests`, besides the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(crate) struct CacheLabels {
    /// The name that the code gave to the cache or pool.
    pub(crate) cache: Symbol,
    /// How the request ended.
    pub(crate) result: CacheResult,
}

/// The labels of `saas.db.connections.created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(crate) struct CreatedLabels {
    /// Who has made the connection.
    pub(crate) db_client_connection_pool_name: Symbol,
}

/// The labels of `saas.pubsub.messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(crate) struct MessageLabels {
    /// The name that the code gave to the subscriber.
    pub(crate) subscriber: Symbol,
}

/// The families that only Redis has.
#[derive(Debug)]
pub(crate) struct RedisInstruments {
    pub(crate) registry: Registry,
    pub(crate) cache_requests: TenantCounter<CacheLabels>,
    pub(crate) connections_created: Counter<CreatedLabels>,
    pub(crate) messages: Counter<MessageLabels>,
}

impl InstrumentSet for RedisInstruments {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            registry: registry.clone(),
            cache_requests: registry.tenant_counter(&SAAS_CACHE_REQUESTS)?,
            connections_created: registry.counter(&SAAS_DB_CONNECTIONS_CREATED)?,
            messages: registry.counter(&SAAS_PUBSUB_MESSAGES)?,
        })
    }
}

impl RedisInstruments {
    /// One more connection of the pool or subscriber of that name.
    pub(crate) fn connection_created(&self, name: &str) {
        let labels = CreatedLabels { db_client_connection_pool_name: self.registry.symbol(name) };
        self.connections_created.add(labels, 1);
    }
}
