//! A metric with all its series.

use std::cell::Cell as ThreadCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::SeriesLimits;
use super::budget::Budget;
use super::combination::{Combination, Combinations};
use super::measure::Scale;
use super::reading::{CLEARED, Reading};
use super::registry::{Rejected, RejectedReason};
use super::table::{Cell, Found, Table};
use crate::tenant::{Tenant, TenantRegistry, TenantText};

/// What the rows of a family stand for.
#[derive(Debug)]
enum Rows {
    /// A tenant each.
    Tenants { registry: TenantRegistry, budget: Budget },
    /// The same series, split among threads and added up when read.
    Stripes(u32),
}

/// A metric with all its series, whatever their types.
#[derive(Debug)]
pub(crate) struct Family {
    name: Box<str>,
    help: OnceLock<Box<str>>,
    reading: Reading,
    rows: Rows,
    combinations: Combinations,
    table: Table,
    overflow: AtomicU64,
    rejected: Arc<Rejected>,
}

/// One series while it is read: where it is, and its words.
#[derive(Debug, Default)]
pub(crate) struct Series {
    row: u32,
    combination: u32,
    /// The words of the cell, added up over stripes.
    pub(crate) words: Vec<u64>,
}

impl Family {
    /// A family with a series per tenant and combination.
    pub(crate) fn of_tenants(
        name: String,
        reading: Reading,
        tenants: &TenantRegistry,
        limits: SeriesLimits,
        rejected: Arc<Rejected>,
    ) -> Self {
        let max_tenants = tenants.max_rows() - TenantRegistry::RESERVED as usize;
        let budget = Budget::new(limits, max_tenants);
        // The reserved rows have no budget, and each series can be alone on its page.
        let reserved = TenantRegistry::RESERVED as usize * (limits.combinations as usize + 1);
        let pages = budget.most(max_tenants).saturating_add(reserved);
        Self {
            name: name.into(),
            help: OnceLock::new(),
            table: Table::new(reading.layout(), tenants.max_rows(), pages),
            reading,
            rows: Rows::Tenants { registry: tenants.clone(), budget },
            combinations: Combinations::new(limits.combinations),
            overflow: AtomicU64::new(0),
            rejected,
        }
    }

    /// A family about the whole platform. A value that is set, not added to, has one stripe.
    pub(crate) fn of_platform(
        name: String,
        reading: Reading,
        combinations: u32,
        stripes: u32,
        rejected: Arc<Rejected>,
    ) -> Self {
        let stripes = if matches!(reading, Reading::Gauge) { 1 } else { stripes };
        Self {
            name: name.into(),
            help: OnceLock::new(),
            table: Table::new(reading.layout(), stripes as usize, (combinations as usize + 1) * stripes as usize),
            reading,
            rows: Rows::Stripes(stripes),
            combinations: Combinations::new(combinations),
            overflow: AtomicU64::new(0),
            rejected,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
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
        self.overflow.load(Ordering::Relaxed)
    }

    /// The series that the family holds; the stripes of one are one.
    pub(crate) fn series(&self) -> usize {
        match self.rows {
            Rows::Tenants { .. } => self.table.cells(),
            Rows::Stripes(_) => self.combinations.len() as usize - usize::from(self.overflow() == 0),
        }
    }

    pub(crate) fn is_per_tenant(&self) -> bool {
        matches!(self.rows, Rows::Tenants { .. })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.combinations.bytes()
    }

    pub(crate) fn reject(&self, reason: RejectedReason) {
        self.rejected.add(reason);
    }

    /// The id of a combination, made if need be.
    #[inline]
    pub(crate) fn combination(&self, key: u64, combination: impl FnOnce() -> Combination) -> u32 {
        match self.combinations.find(key) {
            Some(id) => id,
            None => self.combinations.insert(key, combination),
        }
    }

    /// The id of a combination that comes without a key, made if need be; `None` when there is no room.
    #[cfg(feature = "metrics")]
    pub(crate) fn combination_by_text(&self, combination: Combination) -> Option<u32> {
        Some(self.combinations.intern(combination)).filter(|id| *id != Combinations::OVERFLOW)
    }

    /// Where everything goes that has no combination of its own.
    #[cfg(feature = "metrics")]
    pub(crate) const OVERFLOW: u32 = Combinations::OVERFLOW;

    /// The cell of that tenant (if the family has tenants) and combination, or the one of `__other__`. `None` only if the
    /// tables are exhausted, which their sizes exclude.
    #[inline]
    pub(super) fn cell(&self, tenant: Tenant, combination: u32) -> Option<Cell<'_>> {
        match &self.rows {
            Rows::Stripes(stripes) => self.cell_of_row(stripe(*stripes), combination),
            Rows::Tenants { .. } => match self.own_cell(tenant, combination) {
                Some(cell) => {
                    self.note_overflow(combination == Combinations::OVERFLOW);
                    Some(cell)
                }
                None => live(self.table.find_or_create_beyond(Tenant::OTHER.row(0), combination)),
            },
        }
    }

    /// The cell of exactly that tenant and combination; `None`, and counted, past the budget.
    #[inline]
    fn own_cell(&self, tenant: Tenant, combination: u32) -> Option<Cell<'_>> {
        let Rows::Tenants { registry, budget } = &self.rows else { return self.cell_of_row(0, combination) };
        let row = tenant.row(registry.number());
        let found = match self.table.find(row, combination) {
            Found::Missing if row < TenantRegistry::RESERVED => self.table.create_beyond(row, combination),
            Found::Missing => self.table.create(row, combination, |cells| budget.admits(cells)),
            found => found,
        };
        let cell = live(found);
        self.note_overflow(cell.is_none());
        cell
    }

    /// The cell of a row that has no budget.
    #[inline]
    fn cell_of_row(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        self.note_overflow(combination == Combinations::OVERFLOW);
        live(self.table.find_or_create_beyond(row, combination))
    }

    #[inline]
    fn note_overflow(&self, is_overflow: bool) {
        if is_overflow {
            self.overflow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds to a counter, which stays at the highest number once it is there.
    #[inline]
    pub(crate) fn add(&self, tenant: Tenant, combination: u32, amount: u64) {
        if let Some(word) = self.cell(tenant, combination).and_then(|cell| cell.word(0)) {
            add_whole(word, amount);
        }
    }

    /// The stripe of a platform family that the caller's thread adds to.
    #[inline]
    pub(crate) fn stripe(&self) -> u32 {
        match self.rows {
            Rows::Stripes(stripes) => stripe(stripes),
            Rows::Tenants { .. } => 0,
        }
    }

    /// Adds to an up-down counter of the platform, in that stripe.
    #[inline]
    pub(crate) fn shift(&self, stripe: u32, combination: u32, amount: i64) {
        if let Some(word) = self.cell_of_row(stripe, combination).and_then(|cell| cell.word(0)) {
            word.fetch_add(amount.cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// Raises a counter of the platform to `value`: in one stripe, whichever thread it is, because stripes add up. Past the
    /// budget there is nothing to raise: totals of several series do not mix.
    pub(crate) fn raise(&self, combination: u32, value: u64) {
        if combination == Combinations::OVERFLOW {
            return self.note_overflow(true);
        }
        if let Some(word) = self.cell_of_row(0, combination).and_then(|cell| cell.word(0)) {
            word.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Sets a gauge; what is not finite is rejected. Past the budget there is nothing to set: a gauge that is shared would
    /// show whoever came last. That is counted as overflow.
    pub(crate) fn set(&self, tenant: Tenant, combination: u32, value: f64) {
        if !value.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        if combination == Combinations::OVERFLOW {
            return self.note_overflow(true);
        }
        if let Some(word) = self.own_cell(tenant, combination).and_then(|cell| cell.word(0)) {
            word.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// Takes a gauge away until it is set again. What has no series of its own keeps none, and `__other__` its value.
    pub(crate) fn clear(&self, tenant: Tenant, combination: u32) {
        let row = match &self.rows {
            Rows::Tenants { registry, .. } => tenant.row(registry.number()),
            Rows::Stripes(_) => 0,
        };
        if let Some(word) = live(self.table.find(row, combination)).and_then(|cell| cell.word(0)) {
            word.store(CLEARED.to_bits(), Ordering::Relaxed);
        }
    }

    /// Adds to a gauge that may have been cleared.
    #[cfg(feature = "metrics")]
    pub(crate) fn adjust(&self, combination: u32, amount: f64) {
        if !amount.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        if let Some(word) = self.cell(Tenant::NONE, combination).and_then(|cell| cell.word(0)) {
            add_float(word, amount);
        }
    }

    /// Counts a whole number into its bucket.
    #[inline]
    pub(crate) fn observe(&self, tenant: Tenant, combination: u32, raw: u64) {
        let Reading::Histogram { bounds, .. } = &self.reading else { return };
        let bucket = bounds.iter().take_while(|bound| **bound < raw).count();
        if let Some(cell) = self.cell(tenant, combination) {
            // The sum comes first: a reader that sees the count sees at least its sum.
            if let Some(sum) = cell.word(0) {
                add_whole(sum, raw);
            }
            if let Some(word) = cell.word(bucket + 1) {
                word.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Counts a floating-point number into its bucket; what is not finite is rejected.
    #[cfg(feature = "metrics")]
    pub(crate) fn observe_float(&self, combination: u32, value: f64) {
        if !value.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        let Reading::Histogram { bounds, .. } = &self.reading else { return };
        let bucket = bounds.iter().take_while(|bound| f64::from_bits(**bound) < value).count();
        if let Some(cell) = self.cell(Tenant::NONE, combination) {
            if let Some(sum) = cell.word(0) {
                add_float(sum, value);
            }
            if let Some(word) = cell.word(bucket + 1) {
                word.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Moves `series` to the next one there is, from itself on; `false` at the end.
    pub(crate) fn read(&self, series: &mut Series) -> bool {
        match self.rows {
            Rows::Tenants { .. } => self.read_tenants(series),
            Rows::Stripes(stripes) => self.read_stripes(series, stripes),
        }
    }

    fn read_tenants(&self, series: &mut Series) -> bool {
        while let Some(row) = self.table.next_made_row(series.row) {
            if row != series.row {
                series.combination = 0;
            }
            series.row = row;
            match self.table.next_live(row, series.combination) {
                // Its key is known already, its text not yet: another thread is making it. It is in the next scrape.
                Some((combination, _)) if combination >= self.combinations.len() => {
                    series.combination = combination + 1
                }
                Some((combination, cell)) => {
                    series.combination = combination;
                    self.clear_words(&mut series.words);
                    self.accumulate(cell, &mut series.words);
                    if !self.is_cleared(&series.words) {
                        return true;
                    }
                    series.combination += 1;
                }
                None => {
                    series.row = row + 1;
                    series.combination = 0;
                }
            }
        }
        false
    }

    /// Reads all stripes of a combination as one.
    fn read_stripes(&self, series: &mut Series, stripes: u32) -> bool {
        while series.combination < self.combinations.len() {
            self.clear_words(&mut series.words);
            let mut is_live = false;
            for row in 0..stripes {
                if let Some(cell) = live(self.table.find(row, series.combination)) {
                    is_live = true;
                    self.accumulate(cell, &mut series.words);
                }
            }
            if is_live && !self.is_cleared(&series.words) {
                return true;
            }
            series.combination += 1;
        }
        false
    }

    /// The labels of a series that [`read`](Self::read) found.
    pub(crate) fn labels(&self, series: &Series) -> (Option<&TenantText>, Option<&Combination>) {
        let tenant = match &self.rows {
            Rows::Tenants { registry, .. } => registry.text(series.row),
            Rows::Stripes(_) => None,
        };
        (tenant, self.combinations.get(series.combination))
    }

    fn clear_words(&self, words: &mut Vec<u64>) {
        let count = match &self.reading {
            Reading::Histogram { bounds, .. } => bounds.len() + 2,
            Reading::Counter(_) | Reading::UpDownCounter | Reading::Gauge => 1,
        };
        words.clear();
        words.resize(count, 0);
    }

    fn accumulate(&self, cell: Cell<'_>, words: &mut [u64]) {
        // Backwards, so that the sum comes last: it covers at least what the buckets have counted.
        for (index, total) in words.iter_mut().enumerate().rev() {
            let word = cell.word(index).map_or(0, |word| word.load(Ordering::Acquire));
            *total = match &self.reading {
                Reading::Histogram { scale: Scale::Float, .. } if index == 0 => {
                    (f64::from_bits(*total) + f64::from_bits(word)).to_bits()
                }
                // A signed sum, whose parts are negative at times.
                Reading::UpDownCounter => total.wrapping_add(word),
                // A gauge has one stripe.
                Reading::Gauge => word,
                _ => total.saturating_add(word),
            };
        }
    }

    fn is_cleared(&self, words: &[u64]) -> bool {
        matches!(self.reading, Reading::Gauge) && words.iter().any(|word| f64::from_bits(*word).is_nan())
    }
}

impl Series {
    /// Past the series that was read.
    pub(crate) fn advance(&mut self) {
        self.combination += 1;
    }
}

#[inline]
fn live(found: Found<'_>) -> Option<Cell<'_>> {
    match found {
        Found::Live(cell) => Some(cell),
        Found::Folded | Found::Missing => None,
    }
}

#[inline]
fn add_whole(word: &AtomicU64, amount: u64) {
    let before = word.fetch_add(amount, Ordering::Relaxed);
    if before.checked_add(amount).is_none() {
        word.store(u64::MAX, Ordering::Relaxed);
    }
}

#[cfg(feature = "metrics")]
fn add_float(word: &AtomicU64, amount: f64) {
    let add = |bits| {
        let value = f64::from_bits(bits);
        let sum = if value.is_nan() { amount } else { value + amount };
        // An infinity could not be left again.
        Some(sum.clamp(f64::MIN, f64::MAX).to_bits())
    };
    // The closure never returns `None`, so the update never fails.
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

/// This thread's stripe, of so many.
#[inline]
fn stripe(stripes: u32) -> u32 {
    thread_local! {
        static NUMBER: ThreadCell<u32> = const { ThreadCell::new(u32::MAX) };
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let number = NUMBER.try_with(|number| {
        if number.get() == u32::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed) % (1 << 16));
        }
        number.get()
    });
    // A thread that is being torn down uses the first stripe. The number of stripes is a power of two.
    number.unwrap_or(0) & stripes.wrapping_sub(1)
}
