//! What the application has a limited number of.

use crate::catalogue::{SAAS_RESOURCE_LIMIT, SAAS_RESOURCE_USAGE};
use crate::{InstrumentSet, Instruments, LabelSet, Monitoring, Registry, RegistryError, Symbol, Tenant, TenantGauge};

#[derive(Clone, Copy, Debug, LabelSet)]
struct ResourceLabels {
    resource: Symbol,
}

/// The families that resources are told in.
#[derive(Debug)]
struct ResourceFamilies {
    registry: Registry,
    usage: TenantGauge<ResourceLabels>,
    limit: TenantGauge<ResourceLabels>,
}

impl InstrumentSet for ResourceFamilies {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            registry: registry.clone(),
            usage: registry.tenant_gauge(&SAAS_RESOURCE_USAGE)?,
            limit: registry.tenant_gauge(&SAAS_RESOURCE_LIMIT)?,
        })
    }
}

/// Something that the application has a limited number of: workers, licences, seats, buffers. A clone tells of the same.
///
/// It becomes `saas_resource_usage` and `saas_resource_limit`, gauges without a unit, with the labels `tenant` and
/// `resource`; what belongs to no tenant has `tenant="__none__"`. Each report costs a hash of the name and two atomic
/// stores, no allocation once the series exist.
///
/// ```
/// use monitoring_core::Monitoring;
/// use monitoring_core::runtime::Resource;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let workers = Resource::of(&monitoring, "workers")?; // `Resource::named("workers")` after `install()`
/// workers.report(3.0, 10.0);
///
/// assert!(monitoring.render().contains(r#"saas_resource_usage{tenant="__none__",resource="workers"} 3"#));
/// assert!(monitoring.render().contains(r#"saas_resource_limit{tenant="__none__",resource="workers"} 10"#));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Resource {
    instruments: Instruments<ResourceFamilies>,
    name: &'static str,
}

impl Resource {
    /// One of the global monitoring, by the name that becomes the label `resource`: a text of the program, never one
    /// that a user sends. What is reported before [`install`](crate::MonitoringBuilder::install) is told nowhere.
    pub fn named(name: &'static str) -> Self {
        Self { instruments: Instruments::global(), name }
    }

    /// One of that monitoring.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn of(monitoring: &Monitoring, name: &'static str) -> Result<Self, RegistryError> {
        Ok(Self { instruments: Instruments::of(monitoring)?, name })
    }

    /// So many are in use now, of so many. A number that is not finite is rejected, and counted.
    pub fn report(&self, usage: f64, limit: f64) {
        self.report_of(Tenant::NONE, usage, limit);
    }

    /// The same for what a tenant has of its own, such as its seats.
    pub fn report_of(&self, tenant: Tenant, usage: f64, limit: f64) {
        let Some(families) = self.instruments.get() else { return };
        let labels = ResourceLabels { resource: families.registry.symbol(self.name) };
        families.usage.set(tenant, labels, usage);
        families.limit.set(tenant, labels, limit);
    }

    /// Takes both numbers away until they are reported again: for what has ceased to exist.
    pub fn clear(&self) {
        self.clear_of(Tenant::NONE);
    }

    /// The same for what a tenant has had.
    pub fn clear_of(&self, tenant: Tenant) {
        let Some(families) = self.instruments.get() else { return };
        let labels = ResourceLabels { resource: families.registry.symbol(self.name) };
        families.usage.clear(tenant, labels);
        families.limit.clear(tenant, labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tier;

    #[test]
    fn a_resource_is_told_for_the_service_and_for_each_tenant_until_it_is_cleared() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
        let seats = Resource::of(&monitoring, "seats").unwrap();
        seats.report(3.0, 10.0);
        seats.report_of(acme, 5.0, 5.0);
        let shows = |line: &str| monitoring.render().contains(&format!("{line}\n"));
        assert!(shows(r#"saas_resource_usage{tenant="__none__",resource="seats"} 3"#));
        assert!(shows(r#"saas_resource_limit{tenant="__none__",resource="seats"} 10"#));
        assert!(shows(r#"saas_resource_usage{tenant="acme",resource="seats"} 5"#));
        seats.clear();
        seats.clear_of(acme);
        assert!(!monitoring.render().contains("resource=\"seats\""));
    }

    #[test]
    fn a_number_that_is_not_finite_is_rejected_and_counted() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        Resource::of(&monitoring, "seats").unwrap().report(f64::NAN, 4.0);
        let text = monitoring.render();
        assert!(text.contains(r#"saas_resource_limit{tenant="__none__",resource="seats"} 4"#));
        assert!(!text.contains("saas_resource_usage{"));
        assert!(text.contains(r#"monitoring_rejected_samples_total{reason="not_finite"} 1"#), "{text}");
    }

    #[test]
    fn what_is_reported_before_the_monitoring_is_installed_does_nothing() {
        Resource::named("seats").report(1.0, 2.0);
        Resource::named("seats").clear();
    }

    #[test]
    fn a_report_allocates_nothing_once_its_series_exist() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let seats = Resource::of(&monitoring, "seats").unwrap();
        seats.report(1.0, 2.0);
        assert_eq!(allocation_counter::measure(|| seats.report(2.0, 2.0)).count_total, 0);
    }
}
