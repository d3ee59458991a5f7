//! What a family has of the outside recorder: a handle for each series in use.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use rustc_hash::FxBuildHasher;

use super::OutsideRecorder;
use super::outside::Lasting;
use crate::catalogue;

static METADATA: Metadata<'static> = Metadata::new("monitoring", Level::INFO, Some(module_path!()));

/// Which sort of handle the series of a family have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Whole numbers that only grow.
    Counter,
    /// What is set, or grows and shrinks; and what only grows in fractions, because the facade's counters are whole.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A handle to one series of the outside recorder.
pub(crate) enum Meter {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// What a handle is made from.
pub(crate) struct Birth {
    pub(crate) labels: Vec<Label>,
    /// What a gauge is told to add when its handle is made: what it has missed.
    pub(crate) missed: f64,
}

/// The handles of a family. What was looked up before costs no lock and no allocation.
pub(crate) struct Meters {
    outside: OutsideRecorder,
    name: KeyName,
    help: &'static str,
    unit: Option<Unit>,
    sort: Sort,
    known: papaya::HashMap<u64, Known, FxBuildHasher>,
    is_described: AtomicBool,
}

struct Known {
    meter: Meter,
    /// Whether it was used since idle ones were last dropped.
    is_in_use: AtomicBool,
}

impl Known {
    fn used(&self) -> &Meter {
        // A store would take the cache line away from other threads each time.
        if !self.is_in_use.load(Ordering::Relaxed) {
            self.is_in_use.store(true, Ordering::Relaxed);
        }
        &self.meter
    }
}

impl Meters {
    pub(crate) fn new(
        outside: OutsideRecorder,
        name: &str,
        sort: Sort,
        unit: catalogue::Unit,
        help: &'static str,
    ) -> Self {
        let unit = match unit {
            catalogue::Unit::Seconds => Some(Unit::Seconds),
            catalogue::Unit::Bytes => Some(Unit::Bytes),
            catalogue::Unit::Count(_) => Some(Unit::Count),
            catalogue::Unit::Ratio => None,
        };
        Self {
            outside,
            name: SharedString::from_shared(Arc::from(name)).into(),
            help,
            unit,
            sort,
            known: papaya::HashMap::with_hasher(FxBuildHasher),
            is_described: AtomicBool::new(false),
        }
    }

    /// Gives `record` the handle of a series, made if need be. `None` is given if there is none to be had, or none that can
    /// take what is `relative` to what it was told before: then that is among what it has [missed](Birth::missed) later.
    #[inline]
    pub(crate) fn with(
        &self,
        series: u64,
        is_relative: bool,
        birth: impl FnOnce() -> Option<Birth>,
        record: impl FnOnce(Option<&Meter>),
    ) {
        let known = self.known.pin();
        match known.get(&series) {
            Some(meter) => record(Some(meter.used())),
            None => self.make(series, is_relative, birth, record),
        }
    }

    /// Gives `record` the handle of a series if there is one.
    pub(crate) fn with_known(&self, series: u64, record: impl FnOnce(&Meter)) {
        if let Some(known) = self.known.pin().get(&series) {
            record(known.used());
        }
    }

    #[cold]
    fn make(
        &self,
        series: u64,
        is_relative: bool,
        birth: impl FnOnce() -> Option<Birth>,
        record: impl FnOnce(Option<&Meter>),
    ) {
        let made = birth().and_then(|Birth { labels, missed }| {
            let key = Key::from_parts(self.name.clone(), labels);
            let meter = self.outside.ask(|recorder, lasting| {
                let is_of_use = !(is_relative && lasting == Lasting::Passing);
                is_of_use.then(|| (self.register(recorder, &key), lasting))
            });
            meter.flatten().map(|(meter, lasting)| (meter, lasting, missed))
        });
        let Some((meter, lasting, missed)) = made else { return record(None) };
        if lasting != Lasting::Always {
            return record(Some(&meter));
        }
        self.is_described.store(true, Ordering::Relaxed);
        let known = self.known.pin();
        let made = Known { meter, is_in_use: AtomicBool::new(true) };
        match known.try_insert(series, made) {
            Ok(known) => {
                if let Meter::Gauge(gauge) = &known.meter
                    && missed != 0.0
                {
                    gauge.increment(missed);
                }
                record(Some(&known.meter));
            }
            // Another thread was first.
            Err(occupied) => record(Some(occupied.current.used())),
        }
    }

    fn register(&self, recorder: &dyn Recorder, key: &Key) -> Meter {
        let is_described = self.is_described.load(Ordering::Relaxed);
        let describe = (!is_described).then(|| (self.name.clone(), self.unit, SharedString::const_str(self.help)));
        match self.sort {
            Sort::Counter => {
                if let Some((name, unit, help)) = describe {
                    recorder.describe_counter(name, unit, help);
                }
                Meter::Counter(recorder.register_counter(key, &METADATA))
            }
            Sort::Gauge => {
                if let Some((name, unit, help)) = describe {
                    recorder.describe_gauge(name, unit, help);
                }
                Meter::Gauge(recorder.register_gauge(key, &METADATA))
            }
            Sort::Histogram => {
                if let Some((name, unit, help)) = describe {
                    recorder.describe_histogram(name, unit, help);
                }
                Meter::Histogram(recorder.register_histogram(key, &METADATA))
            }
        }
    }

    /// Drops the handles that nobody has used since this was called last. The recorder may have dropped their series, and
    /// would not be told so.
    pub(crate) fn drop_idle(&self) {
        self.known.pin().retain(|_, known| known.is_in_use.swap(false, Ordering::Relaxed));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut meters = formatter.debug_struct("Meters");
        meters.field("outside", &self.outside).field("known", &self.known.len()).finish_non_exhaustive()
    }
}
