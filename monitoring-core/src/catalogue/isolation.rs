//! One tenant's data kept from another.

use super::{Descriptor, Unit};
use crate::tenant::Detail;

/// What was about to show one tenant the data of another.
pub const SAAS_TENANT_ISOLATION_VIOLATIONS: Descriptor = Descriptor::counter(
    "saas.tenant.isolation.violations",
    Unit::Count("{violation}"),
    "Times that work for a tenant met the data of another one, and was stopped.",
)
.labels(&["layer"])
.per_tenant()
.detail(Detail::Aggregate);
