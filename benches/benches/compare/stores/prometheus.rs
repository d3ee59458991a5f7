//! `prometheus`.

use std::error::Error;
use std::time::Duration;

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use super::{BUCKETS, COUNTER, HISTOGRAM, Series, Store, Texts};

pub(crate) const NAME: &str = "prometheus";

const LABELS: [&str; 4] = ["tenant", "route", "method", "status"];

pub(crate) struct Prometheus<'a> {
    texts: &'a Texts,
    counters: IntCounterVec,
    histograms: HistogramVec,
    registry: Registry,
}

impl<'a> Prometheus<'a> {
    pub(crate) fn new(texts: &'a Texts) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = IntCounterVec::new(Opts::new(COUNTER, "Requests."), &LABELS)?;
        let histograms =
            HistogramVec::new(HistogramOpts::new(HISTOGRAM, "Durations.").buckets(BUCKETS.to_vec()), &LABELS)?;
        registry.register(Box::new(counters.clone()))?;
        registry.register(Box::new(histograms.clone()))?;
        Ok(Self { texts, counters, histograms, registry })
    }

    fn labels(&self, series: Series) -> [&str; 4] {
        [self.texts.tenant(series), self.texts.route(series), series.method(), series.status().1]
    }
}

impl Store for Prometheus<'_> {
    fn count(&self, series: Series) {
        self.counters.with_label_values(&self.labels(series)).inc();
    }

    fn observe(&self, series: Series, duration: Duration) {
        self.histograms.with_label_values(&self.labels(series)).observe(duration.as_secs_f64());
    }

    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>> {
        let mut text = Vec::with_capacity(capacity);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text.len())
    }
}
