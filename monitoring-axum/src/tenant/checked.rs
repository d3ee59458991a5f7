//! One resolver that is held against another.

use monitoring_core::{
    Instruments, IsolationLayer, IsolationViolations, Monitoring, RegistryError, Tenant, TenantRegistry,
};

use super::{RequestHead, TenantResolver};

/// A resolver whose answer is compared with that of another, made by [`TenantResolver::checked_by`].
#[derive(Debug)]
pub struct CheckedBy<A, B> {
    first: A,
    other: B,
    violations: Instruments<IsolationViolations>,
}

impl<A, B> CheckedBy<A, B> {
    pub(super) fn new(first: A, other: B) -> Self {
        Self { first, other, violations: Instruments::global() }
    }

    /// Where contradictions are counted. By default that is the global monitoring, from the moment it is installed.
    ///
    /// # Errors
    /// When the name of the metric is taken by a different one.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        self.violations = Instruments::of(monitoring)?;
        Ok(self)
    }
}

impl<A: TenantResolver, B: TenantResolver> TenantResolver for CheckedBy<A, B> {
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        let tenant = self.first.resolve(request, tenants);
        let other = self.other.resolve(request, tenants);
        let is_contradiction = tenant.is_known() && other.is_known() && tenant != other;
        if is_contradiction && let Some(violations) = self.violations.get() {
            violations.count(tenant, IsolationLayer::Http);
        }
        tenant
    }
}
