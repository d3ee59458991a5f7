//! The Prometheus protobuf format: delimited messages `MetricFamily`, each about as long as a chunk.
//!
//! A reader takes each message by itself, so a family of many series is several messages: no more than one of them is
//! ever held. Each repeats the help, because an empty one would replace it.

pub(super) mod messages;
mod native;

use std::time::UNIX_EPOCH;

use prost::{Message, encode_length_delimiter};

use self::messages::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Timestamp};
use self::native::native_histogram;
use super::number::{hex_digits, value};
use super::open_metrics::unit;
use super::stream::{CHUNK, Writer};
use crate::catalogue::Kind;
use crate::store::{Combination, Exponential, Family, KeptExemplar, Reading, Series};

/// What comes before each metric in a `MetricFamily`: field 4, with a length.
const METRIC: u8 = 4 << 3 | 2;

/// Writes families as messages.
#[derive(Default)]
pub(super) struct Messages {
    /// What each message of the family begins with: all but its metrics.
    head: Vec<u8>,
    /// The message being written; empty between messages.
    message: Vec<u8>,
    /// The metric being written: its memory is used again for the next one.
    metric: Metric,
    /// The upper bounds of the family's buckets, `+Inf` included.
    bounds: Vec<f64>,
}

impl Writer for Messages {
    fn begin(&mut self, _out: &mut Vec<u8>, family: &Family, _place: usize) {
        let kind = match family.reading().kind() {
            Kind::Counter => MetricType::Counter,
            Kind::UpDownCounter | Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let name = family.name();
        let base = match kind {
            MetricType::Counter => name.strip_suffix("_total").unwrap_or(name),
            MetricType::Gauge | MetricType::Histogram => name,
        };
        let head = MetricFamily {
            name: Some(name.to_owned()),
            help: Some(family.help().to_owned()).filter(|help| !help.is_empty()),
            kind: Some(kind.into()),
            metric: Vec::new(),
            unit: family.descriptor().and_then(|descriptor| unit(base, descriptor)).map(str::to_owned),
        };
        self.head = head.encode_to_vec();
        self.metric = Metric::default();
        self.bounds.clear();
        if let Reading::Histogram { texts, .. } = family.reading() {
            let bounds = texts.iter().map(|text| text.parse().unwrap_or(f64::INFINITY));
            self.bounds.extend(bounds.chain([f64::INFINITY]));
        }
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        family: &Family,
        series: &Series,
        exemplar: impl Fn(usize) -> Option<KeptExemplar>,
    ) {
        self.set_labels(family, series);
        let first = series.words.first().copied().unwrap_or_default();
        let metric = &mut self.metric;
        match family.reading() {
            Reading::Counter(scale) => metric.counter = Some(Counter { value: Some(value(first, *scale)) }),
            Reading::UpDownCounter => metric.gauge = Some(Gauge { value: Some(first.cast_signed() as f64) }),
            Reading::Gauge => metric.gauge = Some(Gauge { value: Some(f64::from_bits(first)) }),
            Reading::Histogram { scale, .. } => {
                let histogram = metric.histogram.get_or_insert_default();
                set_classic(histogram, &self.bounds, series, exemplar);
                if let Some(exponential) = &series.exponential {
                    add_native(histogram, exponential);
                }
                histogram.sample_sum = Some(value(first, *scale));
            }
        }
        if self.message.is_empty() {
            self.message.extend_from_slice(&self.head);
        }
        self.message.push(METRIC);
        // Only a buffer of fixed size can be too short.
        let _ = self.metric.encode_length_delimited(&mut self.message);
        if out.len() + self.message.len() >= CHUNK {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.message.is_empty() {
            let _ = encode_length_delimiter(self.message.len(), out);
            out.append(&mut self.message);
        }
    }
}

impl Messages {
    fn set_labels(&mut self, family: &Family, series: &Series) {
        let (tenant, combination) = family.labels(series);
        let labels = &mut self.metric.label;
        let mut count = 0;
        let mut set = |name: &str, value: &str| {
            match labels.get_mut(count) {
                Some(label) => label.set(name, value),
                None => labels.push(LabelPair::new(name, value.to_owned())),
            }
            count += 1;
        };
        if let Some(tenant) = tenant {
            set("tenant", tenant.id());
        }
        for (name, value) in combination.into_iter().flat_map(Combination::pairs) {
            set(name, &value);
        }
        labels.truncate(count);
    }
}

/// The buckets of a histogram that are in its catalogue, cumulative.
fn set_classic(
    histogram: &mut Histogram,
    bounds: &[f64],
    series: &Series,
    exemplar: impl Fn(usize) -> Option<KeptExemplar>,
) {
    let buckets = std::mem::take(&mut histogram.bucket);
    *histogram = Histogram { bucket: buckets, ..Histogram::default() };
    histogram.bucket.clear();
    let mut count = 0_u64;
    for (bucket, (bound, counted)) in bounds.iter().zip(series.words.iter().skip(1)).enumerate() {
        count = count.saturating_add(*counted);
        let exemplar = exemplar(bucket).as_ref().map(exemplar_message);
        histogram.bucket.push(Bucket { cumulative_count: Some(count), upper_bound: Some(*bound), exemplar });
    }
    histogram.sample_count = Some(count);
}

/// The exponential buckets beside them: a reader takes those that it knows or wants.
///
/// The two sorts are read one after the other, so what is recorded meanwhile may be in one of them only. The count is that
/// of the exponential buckets, and the others are made to agree with it.
fn add_native(histogram: &mut Histogram, exponential: &Exponential) {
    let native = native_histogram(exponential);
    let mut bucket = std::mem::take(&mut histogram.bucket);
    for bucket in &mut bucket {
        bucket.cumulative_count = bucket.cumulative_count.min(native.sample_count);
    }
    if let Some(last) = bucket.last_mut() {
        last.cumulative_count = native.sample_count;
    }
    let exemplars = bucket.iter().filter_map(|bucket| bucket.exemplar.clone()).collect();
    *histogram = Histogram { bucket, exemplars, ..native };
}

fn exemplar_message(kept: &KeptExemplar) -> messages::Exemplar {
    let since = kept.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    messages::Exemplar {
        label: vec![
            LabelPair::new("trace_id", hex_digits(&kept.exemplar.trace_id).map(char::from).collect()),
            LabelPair::new("span_id", hex_digits(&kept.exemplar.span_id).map(char::from).collect()),
        ],
        value: Some(kept.value),
        timestamp: Some(Timestamp {
            seconds: since.as_secs().try_into().unwrap_or(i64::MAX),
            nanos: since.subsec_nanos().cast_signed(),
        }),
    }
}
