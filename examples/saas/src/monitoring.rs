//! How much is measured, and for whom by name.

use monitoring_core::{ConfigError, Detail, Monitoring, MonitoringBuilder, Tier};

/// The series that a tenant can have in a metric: its requests come in four outcomes and six parts of the product.
const SERIES_OF_A_TENANT: usize = 24;

/// The enterprise tenants that the service is to have room for, whatever the others do.
const ENTERPRISE_TENANTS: usize = 1_000;

/// The monitoring as the environment wants it (also whether metrics are pushed: `OTEL_METRICS_EXPORTER`), with what this
/// service has decided about its tenants.
///
/// # Errors
/// When a variable of the environment cannot be used.
pub fn monitoring() -> Result<MonitoringBuilder, ConfigError> {
    let builder = Monitoring::from_env("saas")?;
    let budget = builder
        .budget()
        .per_tenant(SERIES_OF_A_TENANT)
        .reserve(Tier::Enterprise, ENTERPRISE_TENANTS * SERIES_OF_A_TENANT)
        // Who tries the product out is seen by requests and latency; its time in the databases is part of `__other__`.
        .detail(Tier::Free, Detail::Summary);
    Ok(builder.cardinality_budget(budget).exponential_histograms(true))
}
