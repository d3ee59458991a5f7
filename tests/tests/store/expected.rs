//! What an exposition must say, counted apart from the store by the simplest means.

use std::collections::BTreeMap;
use std::time::Duration;

use monitoring_core::{Format, Monitoring};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::prometheus_client::{self, ClientFamily, Parser};
use monitoring_tests::promtool_check;

/// Values by series.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    values: BTreeMap<Series, f64>,
    /// The sums in nanoseconds and the whole numbers, until they are turned into values.
    whole: BTreeMap<Series, u64>,
    nanoseconds: BTreeMap<Series, u64>,
}

impl Expected {
    pub(crate) fn add(&mut self, name: &str, labels: &[(&str, &str)], amount: u64) {
        let value = self.whole.entry(series(name, labels)).or_default();
        *value = value.saturating_add(amount);
    }

    pub(crate) fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.values.insert(series(name, labels), value);
    }

    pub(crate) fn observe(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[u64], value: u64) {
        self.count(name, labels, bounds.iter().map(|bound| (bound.to_string(), value <= *bound)));
        self.add(&format!("{name}_sum"), labels, value);
    }

    pub(crate) fn observe_seconds(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64], value: Duration) {
        let within = |bound: f64| value <= Duration::from_secs_f64(bound);
        self.count(name, labels, bounds.iter().map(|bound| (bound.to_string(), within(*bound))));
        let sum = self.nanoseconds.entry(series(&format!("{name}_sum"), labels)).or_default();
        *sum = sum.saturating_add(value.as_nanos().try_into().unwrap_or(u64::MAX));
    }

    pub(crate) fn observe_float(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64], value: f64) {
        self.count(name, labels, bounds.iter().map(|bound| (bound.to_string(), value <= *bound)));
        *self.values.entry(series(&format!("{name}_sum"), labels)).or_default() += value;
    }

    fn count(&mut self, name: &str, labels: &[(&str, &str)], buckets: impl Iterator<Item = (String, bool)>) {
        for (bound, within) in buckets.chain([("+Inf".to_owned(), true)]) {
            let labels = [labels, &[("le", &bound)]].concat();
            self.add(&format!("{name}_bucket"), &labels, u64::from(within));
        }
        self.add(&format!("{name}_count"), labels, 1);
    }

    /// The values as an exact parser reads them.
    fn values(&self) -> BTreeMap<Series, f64> {
        let whole = self.whole.iter().map(|(series, value)| (series.clone(), *value as f64));
        let seconds = self.nanoseconds.iter().map(|(series, value)| {
            let text = format!("{}.{:09}", value / 1_000_000_000, value % 1_000_000_000);
            (series.clone(), text.parse().unwrap())
        });
        self.values.clone().into_iter().chain(whole).chain(seconds).collect()
    }

    /// Checks that each parser reads exactly these values of the metrics whose names begin with one of `prefixes`, the same
    /// in both text formats, and that nothing in either exposition is illegal.
    pub(crate) fn check(&self, monitoring: &Monitoring, prefixes: &[&str]) {
        let text = settled(monitoring);
        let samples: Samples = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let all = normal(samples.iter().map(|(series, value)| (series.clone(), value)));
        let is_checked = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let recorded = all.iter().filter(|(series, _)| is_checked(&series.name));
        let recorded = recorded.map(|(series, value)| (series.clone(), *value)).collect();
        compare(&recorded, &normal(self.values().into_iter()), "our own reader");

        assert_eq!(promtool_check(&text).unwrap(), Vec::<String>::new(), "promtool\n{text}");

        let open_metrics = read(monitoring, Format::OpenMetrics);
        let texts = [(Parser::Text, text.as_str()), (Parser::OpenMetrics, open_metrics.as_str())];
        for ((parser, text), read) in texts.iter().zip(prometheus_client::read(&texts).unwrap()) {
            let families = read.unwrap_or_else(|error| panic!("prometheus_client, {parser:?}: {error}\n{text}"));
            compare(&by_series(families), &all, &format!("prometheus_client, {parser:?}"));
        }
    }
}

/// The whole store in a text format.
pub(crate) fn read(monitoring: &Monitoring, format: Format) -> String {
    String::from_utf8(monitoring.exposition_in(format).flatten().collect()).unwrap()
}

/// The text of the store when it does not change any more: what it says of itself is made by the first ones.
fn settled(monitoring: &Monitoring) -> String {
    let renders = std::iter::repeat_with(|| monitoring.render()).take(10);
    let mut last = String::new();
    for text in renders {
        if text == last {
            return text;
        }
        last = text;
    }
    panic!("the store changes though nothing is recorded\n{last}");
}

/// The series with their values; bounds of buckets as numbers, because formats write them in different ways.
pub(crate) fn normal(series: impl Iterator<Item = (Series, f64)>) -> BTreeMap<Series, f64> {
    let normal = |mut series: Series| {
        if let Some(bound) = series.labels.get_mut("le") {
            *bound = bound.parse::<f64>().unwrap().to_string();
        }
        series
    };
    series.map(|(series, value)| (normal(series), value)).collect()
}

/// A label whose value is empty is one that is not there.
fn series(name: &str, labels: &[(&str, &str)]) -> Series {
    let labels: Vec<_> = labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
    Series::new(name, &labels)
}

fn by_series(families: Vec<ClientFamily>) -> BTreeMap<Series, f64> {
    let samples: Vec<_> = families.into_iter().flat_map(|family| family.samples).collect();
    let count = samples.len();
    let samples = samples.into_iter().map(|read| (Series { name: read.name, labels: read.labels }, read.value));
    let samples = normal(samples);
    assert_eq!(samples.len(), count, "a series appears twice");
    samples
}

fn compare(found: &BTreeMap<Series, f64>, expected: &BTreeMap<Series, f64>, reader: &str) {
    for (series, expected) in expected {
        let found = found.get(series);
        // There is no NaN; and -0 is 0, because Python reads `-0` as a whole number.
        assert!(found == Some(expected), "{reader} has read {found:?} of {series}, which is {expected}");
    }
    let surplus: Vec<_> = found.keys().filter(|series| !expected.contains_key(series)).collect();
    assert!(surplus.is_empty(), "{reader} has read what was not recorded: {surplus:?}");
}
