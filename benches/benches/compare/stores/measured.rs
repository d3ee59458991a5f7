//! `measured`, with the tenants in an interner that grows and everything else known from the start.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use lasso::{Rodeo, RodeoReader, Spur};
use measured::metric::MetricFamilyEncoding;
use measured::metric::histogram::Thresholds;
use measured::metric::name::MetricName;
use measured::text::TextEncoder;
use measured::{CounterVec, FixedCardinalityLabel, HistogramVec, LabelGroup};
use paracord::ParaCord;

use super::{BUCKETS, COUNTER, HISTOGRAM, Series, Store, Texts};

pub(crate) const NAME: &str = "measured";

#[derive(Clone, Copy, FixedCardinalityLabel)]
#[label(rename_all = "SHOUTY_SNAKE_CASE")]
enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone, Copy, FixedCardinalityLabel)]
enum Status {
    Ok = 200,
    Created = 201,
    NoContent = 204,
    Found = 302,
    BadRequest = 400,
    Unauthorized = 401,
    NotFound = 404,
    Conflict = 409,
    TooManyRequests = 429,
    Internal = 500,
}

#[derive(LabelGroup)]
#[label(set = LabelSet)]
struct Labels<'a> {
    #[label(dynamic_with = ParaCord<RandomState>)]
    tenant: &'a str,
    #[label(fixed_with = RodeoReader<Spur, RandomState>)]
    route: &'a str,
    method: Method,
    status: Status,
}

pub(crate) struct Measured<'a> {
    texts: &'a Texts,
    counters: CounterVec<Arc<LabelSet>>,
    histograms: HistogramVec<Arc<LabelSet>, { BUCKETS.len() }>,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(texts: &'a Texts) -> Self {
        let mut routes = Rodeo::with_hasher(RandomState::default());
        for route in &texts.routes {
            routes.get_or_intern(route);
        }
        let tenants = ParaCord::with_hasher(RandomState::default());
        let labels = Arc::new(LabelSet::new(tenants, routes.into_reader()));
        Self {
            texts,
            counters: CounterVec::with_label_set(Arc::clone(&labels)),
            histograms: HistogramVec::with_label_set_and_metadata(labels, Thresholds::with_buckets(BUCKETS)),
        }
    }

    fn labels(&self, series: Series) -> Labels<'_> {
        Labels {
            tenant: self.texts.tenant(series),
            route: self.texts.route(series),
            method: Method::decode(series.method),
            status: Status::decode(series.status),
        }
    }
}

impl Store for Measured<'_> {
    fn count(&self, series: Series) {
        self.counters.inc(self.labels(series));
    }

    fn observe(&self, series: Series, duration: Duration) {
        self.histograms.observe_duration(self.labels(series), duration);
    }

    /// As both families have the same set of labels, what is found in it for one holds for the other: half the work.
    fn record(&self, series: Series, duration: Duration) {
        let labels = self.counters.with_labels(self.labels(series));
        self.counters.get_metric(labels).inc();
        self.histograms.get_metric(labels).observe_duration(duration);
    }

    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>> {
        let mut encoder = TextEncoder::new(Vec::with_capacity(capacity));
        self.counters.collect_family_into(MetricName::from_str(COUNTER), &mut encoder)?;
        self.histograms.collect_family_into(MetricName::from_str(HISTOGRAM), &mut encoder)?;
        encoder.flush()?;
        Ok(encoder.writer.len())
    }
}
