//! Redis beside its commands: caches, new connections, channels.

use super::{Descriptor, Unit};

/// What a cache was asked for, and whether it had it.
pub const SAAS_CACHE_REQUESTS: Descriptor = Descriptor::counter(
    "saas.cache.requests",
    Unit::Count("{request}"),
    "Requests to a cache by tenant: found, not found, or failed.",
)
.labels(&["cache", "result"])
.per_tenant();

/// Connections that were made, because there was none or because one was lost.
pub const SAAS_DB_CONNECTIONS_CREATED: Descriptor = Descriptor::counter(
    "saas.db.connections.created",
    Unit::Count("{connection}"),
    "Connections that a pool or a subscriber has made.",
)
.labels(&["db.client.connection.pool.name"]);

/// Messages of the channels that were subscribed to.
pub const SAAS_PUBSUB_MESSAGES: Descriptor =
    Descriptor::counter("saas.pubsub.messages", Unit::Count("{message}"), "Messages that a subscriber has received.")
        .labels(&["subscriber"]);
