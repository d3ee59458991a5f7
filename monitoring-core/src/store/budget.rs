//! How many series registered tenants may have.

use super::SeriesLimits;
use super::table::Occupancy;

/// The series that registered tenants may have in a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All together.
    per_family: usize,
    /// Each.
    per_tenant: usize,
    /// What each may have even when others have used up the family's budget.
    floor: usize,
}

impl Budget {
    /// The floor is a tenant's share of half the budget, and one series at the least.
    pub(super) fn new(limits: SeriesLimits, max_tenants: usize) -> Self {
        let SeriesLimits { per_family, per_tenant, .. } = limits;
        Self { per_family, per_tenant, floor: (per_family / 2 / max_tenants.max(1)).max(1).min(per_tenant) }
    }

    pub(super) fn admits(self, cells: Occupancy) -> bool {
        cells.row < self.floor || (cells.table < self.per_family && cells.row < self.per_tenant)
    }

    /// More series than this there never are.
    pub(super) fn most(self, max_tenants: usize) -> usize {
        self.per_family.saturating_add(self.floor.saturating_mul(max_tenants))
    }
}
