//! `metrics` with `metrics-exporter-prometheus`.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use monitoring_core::catalogue;

use super::{BUCKETS, COUNTER, HISTOGRAM, Series, Store, Texts};

pub(crate) const NAME: &str = "metrics + metrics-exporter-prometheus";

/// A recorder of its own, which the thread that records into it has to name at each record.
pub(crate) struct Exporter<'a> {
    texts: &'a Texts,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl<'a> Exporter<'a> {
    pub(crate) fn new(texts: &'a Texts) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.build_recorder();
        Ok(Self { texts, handle: recorder.handle(), recorder })
    }
}

impl Store for Exporter<'_> {
    fn count(&self, series: Series) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!(COUNTER, labels(self.texts, series)).increment(1);
        });
    }

    fn observe(&self, series: Series, duration: Duration) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::histogram!(HISTOGRAM, labels(self.texts, series)).record(duration);
        });
    }

    fn maintain(&self) {
        self.handle.run_upkeep();
    }

    fn scrape(&self, _capacity: usize) -> Result<usize, Box<dyn Error>> {
        Ok(self.handle.render().len())
    }
}

/// The recorder of the whole process, made by the first who asks: with our buckets for what every store is given, and
/// those of our HTTP layer for what is recorded about requests.
pub(crate) fn installed() -> Result<&'static PrometheusHandle, BuildError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle);
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(HISTOGRAM.into()), &BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("seconds".into()), catalogue::HTTP_SERVER_REQUEST_DURATION.buckets())?
        .set_buckets_for_metric(Matcher::Suffix("bytes".into()), catalogue::HTTP_SERVER_REQUEST_BODY_SIZE.buckets())?
        .install_recorder()?;
    Ok(HANDLE.get_or_init(|| handle))
}

/// The recorder of the whole process, as a service has it.
pub(crate) struct Installed<'a> {
    texts: &'a Texts,
    handle: &'static PrometheusHandle,
}

impl<'a> Installed<'a> {
    pub(crate) fn new(texts: &'a Texts) -> Result<Self, BuildError> {
        Ok(Self { texts, handle: installed()? })
    }
}

impl Store for Installed<'_> {
    fn count(&self, series: Series) {
        metrics::counter!(COUNTER, labels(self.texts, series)).increment(1);
    }

    fn observe(&self, series: Series, duration: Duration) {
        metrics::histogram!(HISTOGRAM, labels(self.texts, series)).record(duration);
    }

    fn record(&self, series: Series, duration: Duration) {
        let labels = labels(self.texts, series);
        metrics::counter!(COUNTER, labels.clone()).increment(1);
        metrics::histogram!(HISTOGRAM, labels).record(duration);
    }

    fn maintain(&self) {
        self.handle.run_upkeep();
    }

    fn scrape(&self, _capacity: usize) -> Result<usize, Box<dyn Error>> {
        Ok(self.handle.render().len())
    }
}

fn labels(texts: &Texts, series: Series) -> Vec<Label> {
    vec![
        Label::new("tenant", texts.tenant(series).to_owned()),
        Label::new("route", texts.shared_route(series)),
        Label::from_static_parts("method", series.method()),
        Label::from_static_parts("status", series.status().1),
    ]
}
