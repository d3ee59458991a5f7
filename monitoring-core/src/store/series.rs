//! How a family is read: series after series, without a lock.

#[cfg(feature = "otlp")]
use std::time::{Duration, SystemTime};

use super::combination::{Combination, Combinations};
use super::exemplar::{KeptExemplar, Place};
use super::exponential::Exponential;
use super::family::{Family, Rows};
use super::measure::Scale;
use super::reading::Reading;
use super::sync::{Ordering, fence};
use super::table::Cell;
use crate::tenant::{Tenant, TenantText};

/// What of a family is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Every series.
    Whole,
    /// The series of one tenant; nothing of a family about the whole platform.
    Tenant(Tenant),
}

/// One series while it is read: where it is, and its words.
#[derive(Debug, Default)]
pub(crate) struct Series {
    row: u32,
    combination: u32,
    /// Seconds from when the family was made to when the series was; zero if it is about the platform.
    #[cfg(feature = "otlp")]
    start: u32,
    /// The words of the cell, added up over stripes; without those of exponential buckets.
    pub(crate) words: Vec<u64>,
    /// The exponential buckets of a histogram that has them.
    pub(crate) exponential: Option<Exponential>,
}

impl Series {
    /// The row and the combination of the series that was read.
    #[cfg(feature = "metrics")]
    pub(super) fn place(&self) -> (u32, u32) {
        (self.row, self.combination)
    }

    /// Past the series that was read.
    pub(crate) fn advance(&mut self) {
        self.combination += 1;
    }
}

impl Family {
    /// Moves `series` to the next one of the view, from itself on; `false` at the end.
    pub(crate) fn read(&self, view: View, series: &mut Series) -> bool {
        let is_found = match (&self.rows, view) {
            (Rows::Tenants { .. }, View::Whole) => self.read_tenants(series),
            (Rows::Tenants { registry, .. }, View::Tenant(tenant)) => {
                let row = tenant.row(registry.number());
                if series.row < row {
                    (series.row, series.combination) = (row, 0);
                }
                series.row == row && self.read_row(series)
            }
            (Rows::Stripes(stripes), View::Whole) => self.read_stripes(series, *stripes),
            (Rows::Stripes(_), View::Tenant(_)) => false,
        };
        if is_found && let Some(grid) = self.reading.grid() {
            let explicit = self.reading.explicit_words();
            series.exponential = Some(grid.read(series.words.get(explicit..).unwrap_or_default()));
            series.words.truncate(explicit);
        }
        is_found
    }

    fn read_tenants(&self, series: &mut Series) -> bool {
        while let Some(row) = self.table.next_made_row(series.row) {
            if row != series.row {
                (series.row, series.combination) = (row, 0);
            }
            if self.read_row(series) {
                return true;
            }
            (series.row, series.combination) = (row + 1, 0);
        }
        false
    }

    /// Moves to the next series of the same row.
    fn read_row(&self, series: &mut Series) -> bool {
        while let Some((combination, cell)) = self.table.next_live(series.row, series.combination) {
            series.combination = combination;
            self.clear_words(&mut series.words);
            self.accumulate(&cell, &mut series.words);
            #[cfg(feature = "otlp")]
            {
                series.start = self.table.start(series.row, combination);
            }
            // Between the words and the second look at the header, so that no word is of the page's next owner.
            fence(Ordering::Acquire);
            if !cell.is_current() {
                // The page has changed hands, or has not after all.
                continue;
            }
            // A combination whose key is known already, its text not yet, is in the next scrape: another thread is making it.
            if combination < self.combinations.len() && !self.is_hidden(combination, &series.words) {
                return true;
            }
            series.combination += 1;
        }
        false
    }

    /// Reads all stripes of a combination as one.
    fn read_stripes(&self, series: &mut Series, stripes: u32) -> bool {
        while series.combination < self.combinations.len() {
            self.clear_words(&mut series.words);
            let mut is_live = false;
            for row in 0..stripes {
                if let Some(cell) = self.table.find_to_read(row, series.combination) {
                    is_live = true;
                    self.accumulate(&cell, &mut series.words);
                }
            }
            if is_live && !self.is_hidden(series.combination, &series.words) {
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

    /// The exemplar of that bucket (0 is the lowest) of a histogram's series.
    pub(crate) fn exemplar(&self, series: &Series, bucket: usize) -> Option<KeptExemplar> {
        // A series that has begun anew has counted nothing there yet.
        series.words.get(bucket + 1).filter(|count| **count > 0)?;
        self.exemplars.get(Place { row: series.row, combination: series.combination, bucket })
    }

    /// When the series began to count, to the second: not after its first value.
    #[cfg(feature = "otlp")]
    pub(crate) fn start_time(&self, series: &Series) -> SystemTime {
        self.started() + Duration::from_secs(series.start.into())
    }

    /// Whether the overflow series of that row was used.
    pub(super) fn is_used(&self, row: u32) -> bool {
        let Some(cell) = self.table.find_to_read(row, Combinations::OVERFLOW) else { return false };
        let mut words = Vec::new();
        self.clear_words(&mut words);
        self.accumulate(&cell, &mut words);
        !self.is_hidden(Combinations::OVERFLOW, &words)
    }

    fn clear_words(&self, words: &mut Vec<u64>) {
        words.clear();
        words.resize(self.reading.words(), 0);
    }

    fn accumulate(&self, cell: &Cell<'_>, words: &mut [u64]) {
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

    /// Whether there is nothing to show: a gauge that is not set, or an overflow series that was never used.
    fn is_hidden(&self, combination: u32, words: &[u64]) -> bool {
        match self.reading {
            Reading::Gauge => words.iter().any(|word| f64::from_bits(*word).is_nan()),
            _ => combination == Combinations::OVERFLOW && words.iter().all(|word| *word == 0),
        }
    }
}
