//! A metric with all its series. How values get into it is in `recording.rs` and `levels.rs`, how they are read in
//! `series.rs`.

use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use super::budget::{Budget, Bytes, CardinalityBudget};
use super::combination::{Combination, Combinations};
use super::exemplar::{ExemplarSource, Exemplars};
use super::reading::Reading;
use super::rejected::{Rejected, RejectedReason};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::table::{Admission, Table};
use crate::catalogue::Descriptor;
#[cfg(feature = "metrics")]
use crate::facade::{Meters, OutsideRecorder};
use crate::tenant::{Tenant, TenantRegistry};

/// What the rows of a family stand for.
#[derive(Debug)]
pub(super) enum Rows {
    /// A tenant each.
    Tenants {
        registry: TenantRegistry,
        /// The registry's.
        number: u16,
        budget: Budget,
        /// The tiers whose tenants are named, a bit each; the others go to `__other__`.
        named: u32,
    },
    /// The same series, split among threads and added up when read.
    Stripes(u32),
}

/// What the families of a registry share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(super) rejected: Arc<Rejected>,
    pub(super) bytes: Bytes,
    pub(super) exemplars: Arc<ExemplarSource>,
    /// Where everything goes that is recorded, if that is not an exposition.
    #[cfg(feature = "metrics")]
    pub(super) outside: Option<OutsideRecorder>,
}

impl Shared {
    pub(super) fn new(budget: CardinalityBudget) -> Self {
        Self {
            rejected: Arc::default(),
            bytes: Bytes::new(budget.bytes),
            exemplars: Arc::default(),
            #[cfg(feature = "metrics")]
            outside: None,
        }
    }

    /// For the families about the store itself.
    pub(super) fn without_limit(&self) -> Self {
        Self { bytes: self.bytes.without_limit(), ..self.clone() }
    }
}

/// A metric with all its series, whatever their types.
#[derive(Debug)]
pub(crate) struct Family {
    name: Box<str>,
    /// `None` if the `metrics` facade made the family.
    descriptor: Option<Descriptor>,
    help: OnceLock<Box<str>>,
    pub(super) reading: Reading,
    pub(super) rows: Rows,
    pub(super) combinations: Combinations,
    pub(super) table: Table,
    pub(super) pressure: Pressure,
    pub(super) exemplars: Exemplars,
    /// The handles of the outside recorder, if there is one.
    #[cfg(feature = "metrics")]
    pub(super) meters: Option<Box<Meters>>,
    pub(super) shared: Shared,
    pub(super) started: (SystemTime, Instant),
}

/// What has found no room: on a cache line of its own, so that a flood of it does not slow down those who have room.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Pressure {
    /// Records that went to an overflow series.
    pub(super) overflow: AtomicU64,
    /// What is not to look for room again before the next sweep: a bit for each tier, and [`NO_BYTES`].
    pub(super) closed: AtomicU32,
}

/// The bytes of the store are used up.
pub(super) const NO_BYTES: u32 = 1 << 31;

impl Family {
    /// Where everything goes that has no combination of its own.
    pub(crate) const OVERFLOW: u32 = Combinations::OVERFLOW;

    /// A family with a series per tenant and combination.
    pub(crate) fn of_tenants(
        name: String,
        descriptor: &Descriptor,
        reading: Reading,
        tenants: &TenantRegistry,
        limits: CardinalityBudget,
        shared: &Shared,
    ) -> Self {
        let max_tenants = tenants.max_rows() - TenantRegistry::RESERVED as usize;
        let budget = Budget::new(limits, max_tenants);
        // The reserved rows have no budget, and each series can be alone on its page.
        let reserved = TenantRegistry::RESERVED as usize * (limits.combinations as usize + 1);
        let pages = budget.most(max_tenants).saturating_add(reserved);
        let named = |(tier, detail)| u32::from(descriptor.needed_detail() <= detail) << tier;
        let rows = Rows::Tenants {
            registry: tenants.clone(),
            number: tenants.number(),
            budget,
            named: limits.detail.into_iter().enumerate().map(named).sum(),
        };
        let max_rows = tenants.max_rows();
        Self::new(name, Some(descriptor), reading, rows, (max_rows, pages), limits.combinations, shared)
    }

    /// A family about the whole platform. A value that is set, not added to, has one stripe.
    pub(crate) fn of_platform(
        name: String,
        descriptor: Option<&Descriptor>,
        reading: Reading,
        combinations: u32,
        stripes: u32,
        shared: &Shared,
    ) -> Self {
        let stripes = if matches!(reading, Reading::Gauge) { 1 } else { stripes };
        let pages = (combinations as usize + 1) * stripes as usize;
        Self::new(name, descriptor, reading, Rows::Stripes(stripes), (stripes as usize, pages), combinations, shared)
    }

    fn new(
        name: String,
        descriptor: Option<&Descriptor>,
        reading: Reading,
        rows: Rows,
        (max_rows, max_pages): (usize, usize),
        combinations: u32,
        shared: &Shared,
    ) -> Self {
        let table = Table::new(reading.layout(), max_rows, max_pages, combinations, shared.bytes.clone());
        // Where everything can go when there is room for nothing else.
        let last_resort = match rows {
            Rows::Tenants { .. } => Tenant::OTHER.row(0),
            Rows::Stripes(_) => 0,
        };
        let made = table.create(last_resort, Self::OVERFLOW, &Admission::Required, 0);
        debug_assert!(made.is_ok(), "the first cell of a table has room");
        #[cfg(feature = "metrics")]
        let meters = shared.outside.as_ref().zip(descriptor);
        #[cfg(feature = "metrics")]
        let meters = meters.map(|(outside, descriptor)| Meters::of_family(outside, &name, descriptor, &reading).into());
        Self {
            name: name.into(),
            descriptor: descriptor.copied(),
            help: OnceLock::new(),
            reading,
            rows,
            combinations: Combinations::new(combinations, shared.bytes.clone()),
            table,
            pressure: Pressure::default(),
            exemplars: Exemplars::default(),
            #[cfg(feature = "metrics")]
            meters,
            shared: shared.clone(),
            started: (SystemTime::now(), Instant::now()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the family was registered with; `None` if the `metrics` facade made it.
    pub(crate) fn descriptor(&self) -> Option<&Descriptor> {
        self.descriptor.as_ref()
    }

    pub(crate) fn help(&self) -> &str {
        self.help.get().map_or("", |help| help)
    }

    /// The first help given stays.
    pub(crate) fn describe(&self, help: &str) {
        self.help.get_or_init(|| help.into());
    }

    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(crate) fn overflow(&self) -> u64 {
        self.pressure.overflow.load(Ordering::Relaxed)
    }

    /// When the family was made.
    #[cfg(feature = "otlp")]
    pub(super) fn started(&self) -> SystemTime {
        self.started.0
    }

    /// The series that the family holds; the stripes of one are one. An overflow series counts once it was used.
    pub(crate) fn series(&self) -> usize {
        match self.rows {
            Rows::Tenants { .. } => self.table.cells().saturating_sub(usize::from(!self.is_used(Tenant::OTHER.row(0)))),
            Rows::Stripes(stripes) => {
                let is_used = (0..stripes).any(|stripe| self.is_used(stripe));
                self.combinations.len() as usize - usize::from(!is_used)
            }
        }
    }

    pub(crate) fn is_per_tenant(&self) -> bool {
        matches!(self.rows, Rows::Tenants { .. })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.taken_bytes() + self.combinations.bytes() + self.exemplars.bytes()
    }

    pub(crate) fn reject(&self, reason: RejectedReason) {
        self.shared.rejected.add(reason);
    }

    /// The id of a combination, made if need be.
    #[inline]
    pub(crate) fn combination(&self, key: u64, combination: impl FnOnce() -> Option<Combination>) -> u32 {
        match self.combinations.find(key) {
            Some(id) => id,
            None => self.combinations.insert(key, combination),
        }
    }

    /// The id of a combination that was recorded before.
    pub(crate) fn known_combination(&self, key: u64) -> Option<u32> {
        self.combinations.find(key)
    }

    /// The id of a combination that comes without a key, made if need be; `None` when there is no room.
    #[cfg(feature = "metrics")]
    pub(crate) fn combination_by_text(&self, combination: Combination) -> Option<u32> {
        Some(self.combinations.intern(combination)).filter(|id| *id != Combinations::OVERFLOW)
    }
}
