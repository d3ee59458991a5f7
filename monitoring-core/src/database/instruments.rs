//! The families of a database client, registered together: whoever has operations has a pool that they run on.

use crate::{InstrumentSet, Registry, RegistryError};

use super::operation::OperationFamilies;
use super::pool::PoolFamilies;

/// The families that a database client is recorded in.
///
/// Operations: `db.client.operation.duration` over all tenants (histogram, seconds; labels `db_system_name`,
/// `db_operation_name`, `db_collection_name`, `error_type`) and `saas.tenant.db.time` (counter, seconds; labels `tenant`,
/// `db_system_name`).
///
/// Pools: `db.client.connection.count` and `.max` (connections), `.pending_requests`, `.timeouts`, `.wait_time` and
/// `.use_time` (histograms, seconds). All carry `db_client_connection_pool_name`; the count also carries
/// `db_client_connection_state`. Pools of the same name add up.
#[derive(Debug)]
pub struct DatabaseInstruments {
    pub(super) registry: Registry,
    pub(super) operations: OperationFamilies,
    pub(super) pools: PoolFamilies,
}

impl InstrumentSet for DatabaseInstruments {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            registry: registry.clone(),
            operations: OperationFamilies::register(registry)?,
            pools: PoolFamilies::register(registry)?,
        })
    }
}
