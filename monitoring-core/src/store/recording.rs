//! How an addition finds its cell: that of the series, or the one that stands for it.
//!
//! The models record as this does (`models/src/store.rs`): what changes here about the order of look, addition and look
//! changes there too.

use super::addition::Addition;
use super::budget::TIERS;
use super::exemplar::{Exemplar, Place};
use super::family::{Family, NO_BYTES, Rows};
use super::reading::Reading;
use super::rejected::RejectedReason;
use super::stripe::stripe;
use super::table::{Admission, Cell, Refusal};
use crate::sync::Ordering;
use crate::tenant::{Tenant, TenantRegistry};

impl Family {
    /// Adds to the cell of that tenant (if the family has tenants) and combination, or to that of `__other__`. `COUNTERS`
    /// says which layout the table has.
    #[inline(always)]
    fn record<const COUNTERS: bool>(&self, tenant: Tenant, combination: u32, addition: Addition) {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            return self.record_outbound(meters, tenant, combination, addition);
        }
        if combination == Self::OVERFLOW {
            self.record_elsewhere(tenant, combination, addition);
            return;
        }
        match &self.rows {
            Rows::Tenants { number, named, .. } => {
                let row = tenant.row(*number);
                if is_named(row, tenant, *named)
                    && let Some(cell) = self.table.find_in::<COUNTERS>(row, combination)
                    && addition.apply(&cell)
                {
                    if !cell.is_current() {
                        self.settle(tenant, combination, addition, cell);
                    }
                    return;
                }
            }
            Rows::Stripes(stripes) => {
                if let Some(cell) = self.table.find_in::<COUNTERS>(stripe(*stripes), combination)
                    && addition.apply(&cell)
                {
                    return;
                }
            }
        }
        self.record_elsewhere(tenant, combination, addition);
    }

    /// Records what has no cell yet or none of its own, or was too much for it; gives the cell that it counted into.
    #[cold]
    #[inline(never)]
    pub(super) fn record_elsewhere(&self, tenant: Tenant, combination: u32, addition: Addition) -> Option<Cell<'_>> {
        loop {
            let (cell, is_wanted) = match self.rows {
                Rows::Tenants { .. } => self.cell_of_tenant(tenant, combination)?,
                Rows::Stripes(stripes) => self.cell_of_row(stripe(stripes), combination)?,
            };
            if !addition.apply(&cell) {
                self.reject(RejectedReason::Overflow);
                return None;
            }
            if !self.is_per_tenant() || cell.is_current() || self.table.settle(&cell, || addition.undo(&cell)) {
                self.note_overflow(!is_wanted || combination == Self::OVERFLOW);
                return Some(cell);
            }
        }
    }

    /// What was added to a cell that may have ended by then counts after all, or is recorded anew.
    #[cold]
    #[inline(never)]
    fn settle<'a>(&'a self, tenant: Tenant, combination: u32, addition: Addition, cell: Cell<'a>) -> Option<Cell<'a>> {
        if self.table.settle(&cell, || addition.undo(&cell)) {
            return Some(cell);
        }
        self.record_elsewhere(tenant, combination, addition)
    }

    /// The cell of that tenant, or the one of `__other__`, and whether it is the one wanted.
    fn cell_of_tenant(&self, tenant: Tenant, combination: u32) -> Option<(Cell<'_>, bool)> {
        let other = Tenant::OTHER.row(0);
        match self.named_row(tenant) {
            Some(row) if row >= TenantRegistry::RESERVED => match self.cell_within_budget(tenant, row, combination) {
                Some(own) => Some((own, true)),
                None => self.cell_of_row(other, combination).map(|(shared, _)| (shared, false)),
            },
            Some(row) => self.cell_of_row(row, combination),
            None => self.cell_of_row(other, combination),
        }
    }

    /// The row of a tenant; `None` if the tenants of its tier are not named.
    #[inline]
    pub(super) fn named_row(&self, tenant: Tenant) -> Option<u32> {
        let Rows::Tenants { number, named, .. } = &self.rows else { return Some(0) };
        let row = tenant.row(*number);
        is_named(row, tenant, *named).then_some(row)
    }

    /// The cell of a registered tenant, made if the budget admits it.
    fn cell_within_budget(&self, tenant: Tenant, row: u32, combination: u32) -> Option<Cell<'_>> {
        let Rows::Tenants { budget, .. } = &self.rows else { return None };
        if let Some(cell) = self.table.find(row, combination) {
            return Some(cell);
        }
        let tier = tenant.tier() as usize;
        let closed = self.pressure.closed.load(Ordering::Relaxed);
        let cells = self.table.occupancy(row);
        if closed & NO_BYTES != 0 || budget.refuses(cells, closed >> tier & 1 == 1) {
            // A page that is about to end is still the tenant's own.
            return self.table.revived(row, combination);
        }
        self.create(row, combination, &Admission::Budget(tier, &|cells| budget.admits(tier, cells)))
    }

    /// The cell of a row that has no budget, and whether it is the one wanted. If there is no room for it, it is that of
    /// another stripe; or the last resort.
    pub(super) fn cell_of_row(&self, row: u32, combination: u32) -> Option<(Cell<'_>, bool)> {
        if let Some(cell) = self.cell_without_budget(row, combination) {
            return Some((cell, true));
        }
        let (stripes, last_resort) = match self.rows {
            Rows::Tenants { .. } => (0, Tenant::OTHER.row(0)),
            Rows::Stripes(stripes) => (stripes, 0),
        };
        match (0..stripes).find_map(|stripe| self.table.find(stripe, combination)) {
            Some(cell) => Some((cell, true)),
            None => self.table.find(last_resort, Self::OVERFLOW).map(|cell| (cell, false)),
        }
    }

    /// The cell of a row that has no budget, made if there is room for it.
    fn cell_without_budget(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        let found = self.table.find(row, combination);
        if found.is_some() || self.pressure.closed.load(Ordering::Relaxed) & NO_BYTES != 0 {
            return found;
        }
        self.create(row, combination, &Admission::Bytes)
    }

    /// A new cell. What there is no room for is not tried again before the next sweep.
    fn create(&self, row: u32, combination: u32, admission: &Admission<'_>) -> Option<Cell<'_>> {
        let closed = match (self.table.create(row, combination, admission, self.now()), admission) {
            (Ok(cell), _) => return Some(cell),
            (Err(Refusal::Bytes), _) => NO_BYTES,
            (Err(Refusal::Tier), Admission::Budget(tier, _)) => 1 << tier,
            (Err(Refusal::Tier | Refusal::Tenant | Refusal::Place), _) => return None,
        };
        self.pressure.closed.fetch_or(closed, Ordering::Relaxed);
        None
    }

    /// The cell of exactly that tenant and combination, for what cannot be shared; `None`, and counted, past the budget.
    pub(super) fn own_cell(&self, tenant: Tenant, combination: u32) -> Option<Cell<'_>> {
        let cell = match (&self.rows, self.named_row(tenant)?) {
            _ if combination == Self::OVERFLOW => None,
            (Rows::Tenants { .. }, row) if row >= TenantRegistry::RESERVED => {
                self.cell_within_budget(tenant, row, combination)
            }
            (_, row) => self.cell_without_budget(row, combination),
        };
        self.note_overflow(cell.is_none());
        cell
    }

    #[inline]
    pub(super) fn note_overflow(&self, is_overflow: bool) {
        if is_overflow {
            self.pressure.overflow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Seconds since the family was made.
    fn now(&self) -> u32 {
        u32::try_from(self.started.1.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Ends the series of tenants that have not changed for `sweeps` sweeps; the room is for others then, and who found none
    /// may look again.
    pub(super) fn sweep(&self, sweeps: u8) {
        let mut still_closed = 0;
        if let Rows::Tenants { budget, .. } = &self.rows {
            if !matches!(self.reading, Reading::Gauge) {
                self.table.sweep(sweeps);
            }
            let closed = self.pressure.closed.load(Ordering::Relaxed);
            let cells = self.table.all_cells();
            let stay_closed = |tier: &usize| closed >> tier & 1 == 1 && !budget.reopens(*tier, cells);
            still_closed = (0..TIERS).filter(stay_closed).map(|tier| 1 << tier).sum();
        }
        self.pressure.closed.store(still_closed, Ordering::Relaxed);
        self.combinations.reopen();
    }

    /// Adds to a counter. What would take it past the highest number is rejected.
    #[inline(always)]
    pub(crate) fn add(&self, tenant: Tenant, combination: u32, amount: u64) {
        self.record::<true>(tenant, combination, Addition::of_counter(amount));
    }

    /// Counts a whole number into its bucket, with that exemplar or the one that there is now. What would take the sum past
    /// the highest number is rejected.
    #[inline(always)]
    pub(crate) fn observe(&self, tenant: Tenant, combination: u32, raw: u64, exemplar: Option<Exemplar>) {
        let Reading::Histogram { bounds, scale, exponential, .. } = &self.reading else { return };
        // A duration that is longer than a word can tell has that number.
        if raw == u64::MAX {
            return self.reject(RejectedReason::Overflow);
        }
        let bucket = bounds.iter().take_while(|bound| **bound < raw).count();
        let fine_bucket = exponential.as_ref().map_or(0, |grid| bounds.len() + 2 + grid.word(raw));
        self.record::<false>(tenant, combination, Addition::of_histogram(raw, bucket, fine_bucket));
        if let Some(exemplar) = exemplar.or_else(|| self.shared.exemplars.current())
            && let Some(row) = self.named_row(tenant)
        {
            let place = Place { row, combination, bucket };
            self.exemplars.keep(place, exemplar, scale.value(raw), &self.shared.bytes);
        }
    }
}

/// Whether a tenant is shown by name where those of the tiers in `named` are; the reserved ones always are.
#[inline(always)]
fn is_named(row: u32, tenant: Tenant, named: u32) -> bool {
    row < TenantRegistry::RESERVED || (named >> (tenant.tier() as u32)) & 1 == 1
}
