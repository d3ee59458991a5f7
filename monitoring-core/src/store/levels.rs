//! Values that are not only added to: gauges, up-down counters, totals that something else has counted, and what comes as a
//! floating-point number.

#[cfg(feature = "metrics")]
use super::exemplar::Place;
use super::family::{Family, Rows};
#[cfg(feature = "metrics")]
use super::reading::Reading;
use super::rejected::RejectedReason;
use super::stripe::stripe;
use super::table::Cell;
#[cfg(feature = "metrics")]
use crate::sync::AtomicU64;
use crate::sync::Ordering;
use crate::tenant::Tenant;

impl Family {
    /// The stripe of a platform family that the caller's thread adds to.
    #[inline]
    pub(crate) fn stripe(&self) -> u32 {
        match self.rows {
            Rows::Stripes(stripes) => stripe(stripes),
            Rows::Tenants { .. } => 0,
        }
    }

    /// Adds to an up-down counter of the platform, in that stripe if there is room; gives the row and the combination that
    /// it was added to.
    #[inline]
    pub(crate) fn shift(&self, stripe: u32, combination: u32, amount: i64) -> Option<(u32, u32)> {
        let (cell, is_wanted) = self.cell_of_row(stripe, combination)?;
        self.note_overflow(!is_wanted || combination == Self::OVERFLOW);
        self.shift_cell(&cell, amount);
        Some(self.table.place(&cell))
    }

    /// Adds exactly where [`shift`](Self::shift) has added.
    #[inline]
    pub(crate) fn shift_again(&self, (row, combination): (u32, u32), amount: i64) {
        if let Some(cell) = self.table.find(row, combination) {
            self.shift_cell(&cell, amount);
        }
    }

    #[inline]
    fn shift_cell(&self, cell: &Cell<'_>, amount: i64) {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            return self.shift_outbound(meters, cell, amount);
        }
        if let Some(word) = cell.word(0) {
            word.fetch_add(amount.cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// Raises a counter of the platform to `value`: in one stripe, whichever thread it is, because stripes add up. Past the
    /// budget there is nothing to raise: totals of several series do not mix.
    pub(crate) fn raise(&self, combination: u32, value: u64) {
        let Some(cell) = self.own_cell(Tenant::NONE, combination) else { return };
        if let Some(word) = cell.word(0) {
            word.fetch_max(value, Ordering::Relaxed);
        }
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            self.raise_outbound(meters, &cell);
        }
    }

    /// Sets a gauge; what is not finite is rejected. Past the budget there is nothing to set: a gauge that is shared would
    /// show whoever came last. That is counted as overflow.
    pub(crate) fn set(&self, tenant: Tenant, combination: u32, value: f64) {
        if !value.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        if self.named_row(tenant).is_none() {
            // It may have been shown before its tier was told otherwise.
            return self.clear(tenant, combination);
        }
        let Some(cell) = self.own_cell(tenant, combination) else { return };
        if let Some(word) = cell.word(0) {
            word.store(value.to_bits(), Ordering::Relaxed);
        }
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            self.set_outbound(meters, &cell);
        }
    }

    /// Takes a gauge away until it is set again, and gives its room to others. What has no series of its own keeps none, and
    /// `__other__` its value.
    pub(crate) fn clear(&self, tenant: Tenant, combination: u32) {
        let row = match &self.rows {
            Rows::Tenants { number, .. } => tenant.row(*number),
            Rows::Stripes(_) => 0,
        };
        self.table.remove(row, combination);
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            self.clear_outbound(meters, (row, combination));
        }
    }

    /// Adds to a gauge that may have been cleared.
    #[cfg(feature = "metrics")]
    pub(crate) fn adjust(&self, combination: u32, amount: f64) {
        if !amount.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        if let Some(word) = self.own_cell(Tenant::NONE, combination).and_then(|cell| cell.word(0)) {
            add_float(word, amount);
        }
    }

    /// Counts a floating-point number into its bucket. What is not finite is rejected, and what is negative, because a sum
    /// only grows.
    #[cfg(feature = "metrics")]
    pub(crate) fn observe_float(&self, combination: u32, value: f64) {
        if !value.is_finite() {
            return self.reject(RejectedReason::NotFinite);
        }
        if value < 0.0 {
            return self.reject(RejectedReason::Negative);
        }
        let Reading::Histogram { bounds, .. } = &self.reading else { return };
        let bucket = bounds.iter().take_while(|bound| f64::from_bits(**bound) < value).count();
        if let Some((cell, is_wanted)) = self.cell_of_row(0, combination) {
            self.note_overflow(!is_wanted || combination == Self::OVERFLOW);
            if let Some(sum) = cell.word(0) {
                add_float(sum, value);
            }
            if let Some(word) = cell.word(bucket + 1) {
                // After the sum, which covers at least what the buckets have counted.
                word.fetch_add(1, Ordering::Release);
            }
        }
        if let Some(exemplar) = self.shared.exemplars.current() {
            self.exemplars.keep(Place { row: 0, combination, bucket }, exemplar, value, &self.shared.bytes);
        }
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
