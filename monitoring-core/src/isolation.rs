//! What is counted when work for one tenant meets the data of another: `saas.tenant.isolation.violations`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use monitoring_macros::{LabelSet, LabelValue};

use crate::catalogue::SAAS_TENANT_ISOLATION_VIOLATIONS;
use crate::store::{InstrumentSet, Registry, RegistryError, TenantCounter};
use crate::tenant::Tenant;

/// Where the data of another tenant was met; label `layer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
#[non_exhaustive]
pub enum IsolationLayer {
    /// A request names another tenant than its credentials.
    Http,
    /// A row of a database belongs to another tenant.
    Db,
    /// An entry of a cache does.
    Cache,
    /// A series does.
    Metrics,
}

impl IsolationLayer {
    /// As the label has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Db => "db",
            Self::Cache => "cache",
            Self::Metrics => "metrics",
        }
    }
}

/// Counts violations of the tenants' isolation, each for the tenant who was **acting**. Every one is worth waking somebody:
/// whatever checks has stopped it, but the code that asked was wrong.
///
/// The checks of our crates count by themselves; this is for an application's own.
///
/// ```
/// use monitoring_core::{Instruments, IsolationLayer, IsolationViolations, Monitoring, Tenant, Tier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let acme = monitoring.tenants().register("acme".parse()?, Tier::Enterprise)?;
/// let violations = Instruments::<IsolationViolations>::of(&monitoring)?; // `global()` in a service
///
/// let (acting, owner) = (acme, "zeta");
/// if monitoring.tenants().id(acting) != owner
///     && let Some(violations) = violations.get()
/// {
///     violations.count(acting, IsolationLayer::Http);
/// }
/// assert!(monitoring.render().contains(r#"saas_tenant_isolation_violations_total{tenant="acme",layer="http"} 1"#));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct IsolationViolations {
    violations: TenantCounter<ViolationLabels>,
    registry: Registry,
    started: Instant,
    /// The second that is counted, and the lines that were logged in it: 32 bits each.
    window: AtomicU64,
    /// Lines that were left out since the last one.
    suppressed: AtomicU64,
}

/// Lines that are logged in a second. A client can have its requests contradict themselves as often as it likes.
const LINES_PER_SECOND: u32 = 10;

#[derive(Clone, Copy, LabelSet)]
struct ViolationLabels {
    layer: IsolationLayer,
}

impl IsolationViolations {
    /// Counts one, and logs an error that names the acting tenant, and nothing of the other one. At most ten are logged in a
    /// second; `suppressed` counts those that were not.
    pub fn count(&self, acting: Tenant, layer: IsolationLayer) {
        self.violations.add(acting, ViolationLabels { layer }, 1);
        if !self.admits_line(self.started.elapsed().as_secs() as u32) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        let tenant = self.registry.tenants().id(acting);
        tracing::error!(
            target: "monitoring::isolation",
            tenant,
            layer = layer.name(),
            suppressed,
            "work for a tenant met the data of another one"
        );
    }

    /// Whether there may be another line in that second.
    fn admits_line(&self, second: u32) -> bool {
        let next = |window: u64| {
            let lines = if (window >> 32) as u32 == second { window as u32 } else { 0 };
            (lines < LINES_PER_SECOND).then(|| u64::from(second) << 32 | u64::from(lines + 1))
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// The tenants that it counts for.
    pub fn tenants(&self) -> &crate::TenantRegistry {
        self.registry.tenants()
    }
}

impl InstrumentSet for IsolationViolations {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let violations = registry.tenant_counter(&SAAS_TENANT_ISOLATION_VIOLATIONS)?;
        Ok(Self {
            violations,
            registry: registry.clone(),
            started: Instant::now(),
            window: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Instruments, Monitoring};

    #[test]
    fn all_are_counted_and_so_many_a_second_are_logged() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::<IsolationViolations>::of(&monitoring).unwrap();
        let violations = instruments.get().unwrap();
        let admitted = (0..50).filter(|_| violations.admits_line(7)).count();
        assert_eq!(admitted, LINES_PER_SECOND as usize);
        assert!(violations.admits_line(8));

        (0..50).for_each(|_| violations.count(Tenant::UNKNOWN, IsolationLayer::Metrics));
        let text = monitoring.render();
        assert!(text.contains(r#"violations_total{tenant="__unknown__",layer="metrics"} 50"#), "{text}");
    }
}
