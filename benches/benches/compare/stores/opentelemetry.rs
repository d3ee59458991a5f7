//! `opentelemetry_sdk` with its limit of series raised, and `opentelemetry-prometheus` to write it out.

use std::error::Error;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Encoder, Registry, TextEncoder};

use super::{BUCKETS, COUNTER, Series, Store, Texts};

pub(crate) const NAME: &str = "opentelemetry_sdk";

pub(crate) struct OpenTelemetry<'a> {
    texts: &'a Texts,
    counters: Counter<u64>,
    histograms: Histogram<f64>,
    registry: Registry,
    /// Dropped, it would stop to collect.
    _provider: SdkMeterProvider,
}

impl<'a> OpenTelemetry<'a> {
    pub(crate) fn new(texts: &'a Texts, series: usize) -> Result<Self, Box<dyn Error>> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        let provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_view(move |_: &Instrument| Stream::builder().with_cardinality_limit(series + 1).build().ok())
            .build();
        let meter = provider.meter("bench");
        Ok(Self {
            texts,
            counters: meter.u64_counter(COUNTER).build(),
            histograms: meter.f64_histogram("bench_duration").with_unit("s").with_boundaries(BUCKETS.to_vec()).build(),
            registry,
            _provider: provider,
        })
    }

    fn attributes(&self, series: Series) -> [KeyValue; 4] {
        [
            KeyValue::new("tenant", self.texts.tenant(series).to_owned()),
            KeyValue::new("route", self.texts.shared_route(series)),
            KeyValue::new("method", series.method()),
            KeyValue::new("status", i64::from(series.status().0)),
        ]
    }
}

impl Store for OpenTelemetry<'_> {
    fn count(&self, series: Series) {
        self.counters.add(1, &self.attributes(series));
    }

    fn observe(&self, series: Series, duration: Duration) {
        self.histograms.record(duration.as_secs_f64(), &self.attributes(series));
    }

    fn record(&self, series: Series, duration: Duration) {
        let attributes = self.attributes(series);
        self.counters.add(1, &attributes);
        self.histograms.record(duration.as_secs_f64(), &attributes);
    }

    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>> {
        let mut text = Vec::with_capacity(capacity);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text.len())
    }
}
