//! The `metrics` facade: what any crate records with `metrics::counter!` and its kin lands in our store.
//!
//! A label `tenant` gets the same treatment as everywhere: only a registered tenant is named. Names and label names are
//! made legal, a label value that is too long becomes `__other__`; values that clash or are not finite are counted in
//! `monitoring_rejected_samples_total`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::catalogue::Kind;
use crate::store::{Combination, Dynamic, Family, Registry};
use crate::tenant::Tenant;

/// The keys of each kind whose series are remembered; past that, a key is resolved anew each time.
const MAX_KEYS: usize = 100_000;

/// The longest label value, in bytes: that of a [`Symbol`](crate::Symbol).
const MAX_VALUE: usize = 256;

/// A `metrics::Recorder` over the store.
pub(crate) struct FacadeRecorder {
    registry: Registry,
    counters: Known,
    gauges: Known,
    histograms: Known,
    /// Help texts that came before the first value.
    descriptions: Mutex<HashMap<String, SharedString>>,
}

/// Whether the recorder of this process is one of ours.
static IS_GLOBAL: AtomicBool = AtomicBool::new(false);

/// The series of the keys that were seen.
type Known = papaya::HashMap<Key, Arc<Series>>;

/// A series that the facade records into.
struct Series {
    family: Arc<Family>,
    combination: u32,
}

impl FacadeRecorder {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            counters: Known::new(),
            gauges: Known::new(),
            histograms: Known::new(),
            descriptions: Mutex::default(),
        }
    }

    /// Becomes the recorder of this process; `false` if there is one already.
    pub(crate) fn install(self) -> bool {
        let is_installed = metrics::set_global_recorder(self).is_ok();
        if is_installed {
            IS_GLOBAL.store(true, Ordering::Relaxed);
        }
        is_installed
    }

    /// Whether the recorder of this process is one of ours.
    pub(super) fn is_global() -> bool {
        IS_GLOBAL.load(Ordering::Relaxed)
    }

    fn series(&self, key: &Key, kind: Kind, known: &Known) -> Option<Arc<Series>> {
        let known = known.pin();
        if let Some(series) = known.get(key) {
            return Some(Arc::clone(series));
        }
        let name = legal(key.name(), true);
        let family = self.registry.dynamic(&name, kind)?;
        if let Some(help) = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            family.describe(help);
        }
        let (labels, lasting) = self.labels(key);
        let own = family.combination_by_text(labels);
        let series = Arc::new(Series { family, combination: own.unwrap_or(Family::OVERFLOW) });
        if own.is_some() && lasting && known.len() < MAX_KEYS {
            known.insert(key.to_retained(), Arc::clone(&series));
        }
        Some(series)
    }

    /// The key's labels: sorted, each name once, the last value of a name. And whether they are worth remembering: what
    /// users make up is not, and an unknown tenant may be registered later.
    fn labels(&self, key: &Key) -> (Combination, bool) {
        let mut labels = BTreeMap::new();
        let mut lasting = true;
        for label in key.labels() {
            let name = label_name(label.key());
            let value = match label.value() {
                id if name == "tenant" => {
                    let known = self.registry.tenant_label(id);
                    lasting &= known == id;
                    known
                }
                long if long.len() > MAX_VALUE => {
                    lasting = false;
                    "__other__"
                }
                value => value,
            };
            labels.insert(name, value);
        }
        (Combination::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), *value))), lasting)
    }

    fn describe(&self, name: KeyName, help: SharedString) {
        let name = legal(name.as_str(), true);
        let mut descriptions = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if descriptions.len() < MAX_KEYS {
            descriptions.insert(name.clone(), help.clone());
        }
        drop(descriptions);
        self.registry.describe_dynamic(&name, &help);
    }
}

impl Recorder for FacadeRecorder {
    fn describe_counter(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn describe_gauge(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn describe_histogram(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> metrics::Counter {
        self.series(key, Kind::Counter, &self.counters).map_or_else(metrics::Counter::noop, metrics::Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> metrics::Gauge {
        self.series(key, Kind::Gauge, &self.gauges).map_or_else(metrics::Gauge::noop, metrics::Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> metrics::Histogram {
        self.series(key, Kind::Histogram, &self.histograms)
            .map_or_else(metrics::Histogram::noop, metrics::Histogram::from_arc)
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.family.add(Tenant::NONE, self.combination, value);
    }

    fn absolute(&self, value: u64) {
        self.family.raise(self.combination, value);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.family.adjust(self.combination, value);
    }

    fn decrement(&self, value: f64) {
        self.family.adjust(self.combination, -value);
    }

    fn set(&self, value: f64) {
        self.family.set(Tenant::NONE, self.combination, value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.family.observe_float(self.combination, value);
    }
}

/// A label's name that Prometheus takes, and that is not one of the store's own.
fn label_name(name: &str) -> String {
    let mut name = legal(name, false);
    if name.starts_with("__") {
        // Two of them are Prometheus' own.
        name.replace_range(.., &format!("_{}", name.trim_start_matches('_')));
    }
    if matches!(name.as_str(), "le" | "otel_metric_overflow") {
        name.push('_');
    }
    name
}

/// A name that Prometheus takes: letters, digits and `_`, in a metric's name also `:`; no digit first.
fn legal(name: &str, colon: bool) -> String {
    let mut legal = String::with_capacity(name.len() + 1);
    for letter in name.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '_' => legal.push(letter),
            ':' if colon => legal.push(letter),
            '0'..='9' => {
                if legal.is_empty() {
                    legal.push('_');
                }
                legal.push(letter);
            }
            _ => legal.push('_'),
        }
    }
    if legal.is_empty() {
        legal.push('_');
    }
    legal
}

impl fmt::Debug for FacadeRecorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FacadeRecorder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
