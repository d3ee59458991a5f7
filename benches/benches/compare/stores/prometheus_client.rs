//! `prometheus-client`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{BUCKETS, COUNTER, HISTOGRAM, Series, Store, Texts};

pub(crate) const NAME: &str = "prometheus-client";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    tenant: String,
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

pub(crate) struct PrometheusClient<'a> {
    texts: &'a Texts,
    counters: Family<Labels, Counter>,
    histograms: Family<Labels, Histogram, fn() -> Histogram>,
    registry: Registry,
}

impl<'a> PrometheusClient<'a> {
    pub(crate) fn new(texts: &'a Texts) -> Self {
        let counters = Family::<Labels, Counter>::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let histograms = Family::new_with_constructor(histogram);
        let mut registry = Registry::default();
        registry.register(COUNTER, "Requests", counters.clone());
        registry.register(HISTOGRAM, "Durations", histograms.clone());
        Self { texts, counters, histograms, registry }
    }

    fn labels(&self, series: Series) -> Labels {
        Labels {
            tenant: self.texts.tenant(series).to_owned(),
            route: self.texts.shared_route(series),
            method: series.method(),
            status: series.status().0,
        }
    }
}

impl Store for PrometheusClient<'_> {
    fn count(&self, series: Series) {
        self.counters.get_or_create(&self.labels(series)).inc();
    }

    fn observe(&self, series: Series, duration: Duration) {
        self.histograms.get_or_create(&self.labels(series)).observe(duration.as_secs_f64());
    }

    fn record(&self, series: Series, duration: Duration) {
        let labels = self.labels(series);
        self.counters.get_or_create(&labels).inc();
        self.histograms.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>> {
        let mut text = String::with_capacity(capacity);
        encode(&mut text, &self.registry)?;
        Ok(text.len())
    }
}
