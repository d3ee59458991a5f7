//! What no store can beat: tables that are as large as they will ever be, for ids that are in hand.

use std::collections::HashMap;
use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::{BUCKETS, COUNTER, Series, Store, Texts};

/// [`Store::record`] of [`Dense`].
pub(crate) const IN_HAND: &str = "dense table, ids in hand";
/// [`Dense::record_by_text`].
pub(crate) const LOOKED_UP: &str = "dense table, tenant looked up";

/// The buckets, what lies above the last, and the sum.
const WORDS: usize = BUCKETS.len() + 2;

/// A cell for each series there can be: no limit, no label that was not known from the start.
pub(crate) struct Dense<'a> {
    texts: &'a Texts,
    ids: HashMap<&'a str, usize, RandomState>,
    /// The labels of each combination, escaped.
    combinations: Vec<String>,
    bounds: [u64; BUCKETS.len()],
    /// Made when first used, all at once: who only counts is not charged for histograms.
    counters: OnceLock<Vec<AtomicU64>>,
    histograms: OnceLock<Vec<AtomicU64>>,
}

impl<'a> Dense<'a> {
    /// With so many cells of each kind for each tenant's share of `series`.
    pub(crate) fn new(texts: &'a Texts, series: usize) -> Self {
        let combinations = series.div_ceil(texts.tenants.len().max(1));
        let escaped = |combination| {
            let series = Series::of(0, combination);
            let (route, method, status) = (texts.route(series), series.method(), series.status().1);
            format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"")
        };
        Self {
            texts,
            ids: texts.tenants.iter().enumerate().map(|(id, tenant)| (tenant.as_str(), id)).collect(),
            combinations: (0..combinations).map(escaped).collect(),
            bounds: BUCKETS.map(|bound| (bound * 1e9) as u64),
            counters: OnceLock::new(),
            histograms: OnceLock::new(),
        }
    }

    fn zeros(&self, words: usize) -> Vec<AtomicU64> {
        let cells = self.texts.tenants.len() * self.combinations.len();
        (0..cells * words).map(|_| AtomicU64::new(0)).collect()
    }

    fn cell(&self, series: Series) -> usize {
        series.tenant * self.combinations.len() + series.combination()
    }

    /// [`Store::record`] with the tenant given as text.
    pub(crate) fn record_by_text(&self, series: Series, duration: Duration) {
        let tenant = self.ids.get(self.texts.tenant(series)).copied().unwrap_or_default();
        self.record(Series { tenant, ..series }, duration);
    }
}

impl Store for Dense<'_> {
    fn count(&self, series: Series) {
        if let Some(cell) = self.counters.get_or_init(|| self.zeros(1)).get(self.cell(series)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn observe(&self, series: Series, duration: Duration) {
        let nanoseconds = duration.as_nanos() as u64;
        let start = self.cell(series) * WORDS;
        let bucket = self.bounds.iter().position(|bound| nanoseconds <= *bound).unwrap_or(BUCKETS.len());
        let histograms = self.histograms.get_or_init(|| self.zeros(WORDS));
        if let Some(cells) = histograms.get(start..start + WORDS)
            && let (Some(bucket), Some(sum)) = (cells.get(bucket), cells.last())
        {
            bucket.fetch_add(1, Ordering::Relaxed);
            sum.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// The counters.
    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>> {
        let mut text = String::with_capacity(capacity);
        let mut number = itoa::Buffer::new();
        let rows = self.counters.get_or_init(|| self.zeros(1)).chunks(self.combinations.len().max(1));
        for (tenant, cells) in self.texts.tenants.iter().zip(rows) {
            for (labels, cell) in self.combinations.iter().zip(cells) {
                let value = cell.load(Ordering::Relaxed);
                if value != 0 {
                    for part in [COUNTER, "{tenant=\"", tenant, "\",", labels, "} ", number.format(value), "\n"] {
                        text.push_str(part);
                    }
                }
            }
        }
        Ok(text.len())
    }
}
