//! How many series, and how many bytes, there may be.

use std::sync::Arc;
use std::time::Duration;

use super::sync::{AtomicUsize, Ordering};
use super::table::{Occupancy, Refusal};
use crate::tenant::{Detail, Tier};

/// The tiers there are.
pub(super) const TIERS: usize = 3;

/// How many series the store may hold, how many bytes they may take, and who gets them.
///
/// ```
/// use monitoring_core::{CardinalityBudget, Detail, Tier};
///
/// let budget = CardinalityBudget::default()
///     .per_family(20_000)
///     .per_tenant(200)
///     .bytes(64 << 20)
///     .reserve(Tier::Enterprise, 5_000)
///     .detail(Tier::Free, Detail::Aggregate);
/// # let _ = budget;
/// ```
///
/// What comes after the last one allowed is not lost: a tenant's record goes to the series of `__other__`, a
/// combination of labels to the series with `otel_metric_overflow="true"`, and `monitoring_series_overflow_total` counts
/// both. Totals stay exact; only a gauge is left out then, because a shared one would show whoever came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardinalityBudget {
    pub(crate) per_family: usize,
    pub(crate) per_tenant: usize,
    pub(crate) combinations: u32,
    pub(crate) bytes: usize,
    pub(crate) reserved: [usize; TIERS],
    pub(crate) idle: Duration,
    pub(crate) detail: [Detail; TIERS],
}

impl CardinalityBudget {
    /// Series of one per-tenant family. Default 100 000.
    ///
    /// Every registered tenant has its share of half as many more, and at least one, whatever others have used up; the
    /// three reserved tenants have all their series. These come on top. All of it is within [`bytes`](Self::bytes).
    #[must_use]
    pub const fn per_family(mut self, series: usize) -> Self {
        self.per_family = series;
        self
    }

    /// Series of one tenant in one family. Default 1 000.
    #[must_use]
    pub const fn per_tenant(mut self, series: usize) -> Self {
        self.per_tenant = series;
        self
    }

    /// Combinations of label values in one family, the tenant left out. Default 16 384, at most 1 048 576.
    #[must_use]
    pub const fn combinations(mut self, combinations: u32) -> Self {
        self.combinations = combinations;
        self
    }

    /// The memory that all families together may take for series and labels. Default 256 MiB.
    ///
    /// A family takes it in blocks as it grows, never more than half of what the others have left, and keeps it. When it is
    /// used up, what has no series yet goes to the overflow series of its family, one of which exists from the start. What
    /// a family takes by being registered, some kilobytes, and what the store says of itself are counted, but never
    /// refused.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Keeps that many of each family's series for the tenants of `tier`. Default none.
    #[must_use]
    pub const fn reserve(mut self, tier: Tier, series: usize) -> Self {
        let [free, standard, enterprise] = self.reserved;
        self.reserved = match tier {
            Tier::Free => [series, standard, enterprise],
            Tier::Standard => [free, series, enterprise],
            Tier::Enterprise => [free, standard, series],
        };
        self
    }

    /// How long a tenant's counters and histograms stay unchanged before their series end and give their room to others.
    /// Default one hour, which is also the least.
    ///
    /// Series end only when the whole store is read, by a scrape or a push, and after it was read a dozen times without a
    /// change: while nobody reads, nothing ends. Whether a reader received what it read is not known. Recorded into again, a
    /// series begins from zero, as after a restart. Gauges stay until they are cleared.
    #[must_use]
    pub const fn idle_after(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How much of the tenants of `tier` is shown by name. Default [`Detail::Full`] for all.
    #[must_use]
    pub const fn detail(mut self, tier: Tier, detail: Detail) -> Self {
        let [free, standard, enterprise] = self.detail;
        self.detail = match tier {
            Tier::Free => [detail, standard, enterprise],
            Tier::Standard => [free, detail, enterprise],
            Tier::Enterprise => [free, standard, detail],
        };
        self
    }
}

impl Default for CardinalityBudget {
    fn default() -> Self {
        Self {
            per_family: 100_000,
            per_tenant: 1_000,
            combinations: 16_384,
            bytes: 256 << 20,
            reserved: [0; TIERS],
            idle: Duration::from_secs(3_600),
            detail: [Detail::Full; TIERS],
        }
    }
}

/// The series that registered tenants may have in a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All together.
    per_family: usize,
    /// Each.
    per_tenant: usize,
    /// Of all, those that are kept for a tier.
    reserved: [usize; TIERS],
    /// What each may have even when others have used up the family's budget.
    floor: usize,
}

impl Budget {
    /// The floor is a tenant's share of half the budget, and one series at the least.
    pub(super) fn new(budget: CardinalityBudget, max_tenants: usize) -> Self {
        let CardinalityBudget { per_family, per_tenant, reserved, .. } = budget;
        let floor = (per_family / 2 / max_tenants.max(1)).max(1).min(per_tenant);
        Self { per_family, per_tenant, reserved, floor }
    }

    /// Whether a tenant of that tier may have another series.
    pub(super) fn admits(&self, tier: usize, cells: Occupancy) -> Result<(), Refusal> {
        let has_room = || self.limits(tier, cells).iter().any(|(series, used)| used < series);
        if cells.row < self.floor {
            Ok(())
        } else if cells.row >= self.per_tenant {
            Err(Refusal::Tenant)
        } else if has_room() {
            Ok(())
        } else {
            Err(Refusal::Tier)
        }
    }

    /// Two numbers of series up to which a tenant of that tier can have another, each with what there is of them: the
    /// reservation of the tier, which floors of other tenants take nothing of; and the budget, without the unused
    /// reservations of others.
    fn limits(&self, tier: usize, cells: Occupancy) -> [(usize, usize); 2] {
        let mut own = (0, 0);
        let mut kept = 0;
        for (of, limit) in self.reserved.into_iter().zip(cells.by_tier).enumerate() {
            match limit {
                own_limit if of == tier => own = own_limit,
                (reserved, used) => kept += reserved.saturating_sub(used),
            }
        }
        [own, (self.per_family.saturating_sub(kept), cells.table())]
    }

    /// Whether a tenant with so many series is refused another one whatever the family has, or when its tier is closed.
    pub(super) fn refuses(&self, row: usize, is_closed: bool) -> bool {
        row >= self.floor && (is_closed || row >= self.per_tenant)
    }

    /// Whether so much is free again that tenants are admitted again: a tenth.
    pub(super) fn reopens(&self, tier: usize, cells: Occupancy) -> bool {
        let is_free = |(series, used): (usize, usize)| used < series && used <= series - series.div_ceil(10);
        self.limits(tier, cells).into_iter().any(is_free)
    }

    /// More series than this there never are.
    pub(super) fn most(self, max_tenants: usize) -> usize {
        self.per_family.saturating_add(self.floor.saturating_mul(max_tenants))
    }
}

/// The bytes that the families of a store share.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Bytes {
    #[cfg(test)]
    pub(super) fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    pub(super) fn new(limit: usize) -> Self {
        Self { used: Arc::new(AtomicUsize::new(0)), limit }
    }

    /// Takes that many for who has `taken` so many already, if there are so many left: nobody gets more than half of what
    /// the others leave, so that whoever comes late finds something.
    pub(super) fn take(&self, taken: usize, bytes: usize) -> bool {
        let add = |used: usize| {
            let left = self.limit.saturating_sub(used.saturating_sub(taken));
            used.checked_add(bytes).filter(|used| *used <= self.limit && taken.saturating_add(bytes) <= left / 2)
        };
        bytes == 0 || self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The same bytes for who must not be without: the families about the store itself.
    pub(super) fn without_limit(&self) -> Self {
        Self { limit: usize::MAX, ..self.clone() }
    }

    /// Takes that many in any case: for what must exist.
    pub(super) fn take_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }
}
