//! What a record adds to a cell.

use super::table::Cell;
use crate::sync::Ordering;

/// A number for the first word of a cell, and for a histogram the words of the buckets that count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addition {
    amount: u64,
    /// Zero if there is none.
    bucket: u32,
    /// The exponential one; zero if there is none.
    fine_bucket: u32,
}

impl Addition {
    /// To a counter.
    #[inline(always)]
    pub(super) fn of_counter(amount: u64) -> Self {
        Self { amount, bucket: 0, fine_bucket: 0 }
    }

    /// To a histogram, whose buckets begin after the sum.
    #[inline(always)]
    pub(super) fn of_histogram(amount: u64, bucket: usize, fine_bucket: usize) -> Self {
        Self { amount, bucket: bucket as u32 + 1, fine_bucket: fine_bucket as u32 }
    }

    /// What goes to the first word.
    #[cfg(feature = "metrics")]
    pub(super) fn amount(self) -> u64 {
        self.amount
    }

    /// Adds; `false` if that would take a word past the highest number, and then nothing has changed. Sequentially
    /// consistent because of [`Cell::is_current`]; on x86 that costs nothing more.
    #[inline(always)]
    pub(super) fn apply(self, cell: &Cell<'_>) -> bool {
        // The sum comes first: a reader that sees the count sees at least its sum.
        if !add_whole(cell, self.amount) {
            return false;
        }
        for place in [self.bucket, self.fine_bucket] {
            if place != 0
                && let Some(word) = cell.word(place as usize)
            {
                word.fetch_add(1, Ordering::SeqCst);
            }
        }
        true
    }

    /// Takes away what [`apply`](Self::apply) has added.
    pub(super) fn undo(self, cell: &Cell<'_>) {
        let places = [self.bucket, self.fine_bucket].into_iter().filter(|place| *place != 0).map(|place| (place, 1));
        for (place, amount) in places.chain([(0, self.amount)]) {
            if let Some(word) = cell.word(place as usize) {
                word.fetch_sub(amount, Ordering::SeqCst);
            }
        }
    }
}

/// Adds to the first word, unless that would take it past the highest number.
#[inline(always)]
fn add_whole(cell: &Cell<'_>, amount: u64) -> bool {
    /// So far from the end that no number of threads gets there by adding less than that at once.
    const FAR_FROM_THE_END: u64 = 1 << 48;

    let Some(word) = cell.word(0) else { return true };
    if amount < FAR_FROM_THE_END && word.load(Ordering::Relaxed) < u64::MAX / 2 {
        word.fetch_add(amount, Ordering::SeqCst);
        return true;
    }
    word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |before| before.checked_add(amount)).is_ok()
}
