//! A series as a data point of OTLP.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar, number_data_point,
};
use prost::Message;

use super::resource::{flag, text};
use crate::catalogue::{Kind, Unit, prometheus_label};
use crate::store::{Exponential, Family, KeptExemplar, Reading, Scale, Series};

/// The attribute of points that stand for more than one series.
const OVERFLOW: &str = "otel.metric.overflow";

/// A family as a metric: what all its points share.
pub(super) struct Shape {
    name: String,
    unit: String,
    description: String,
    /// The attributes by the names that combinations have them under; the others keep their name.
    attributes: Vec<(String, &'static str)>,
    bounds: Vec<f64>,
}

impl Shape {
    pub(super) fn of(family: &Family, name: &str) -> Self {
        let descriptor = family.descriptor();
        let unit = match descriptor.map(|descriptor| descriptor.unit()) {
            Some(Unit::Count(things)) => things,
            Some(Unit::Ratio) => "1",
            Some(Unit::Seconds) => "s",
            Some(Unit::Bytes) => "By",
            None => "",
        };
        let bounds = match family.reading() {
            // They are written so that they read the same.
            Reading::Histogram { texts, .. } => texts.iter().filter_map(|text| text.parse().ok()).collect(),
            Reading::Counter(_) | Reading::UpDownCounter | Reading::Gauge => Vec::new(),
        };
        let names = descriptor.map_or(&[][..], |descriptor| descriptor.label_names());
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            description: family.help().to_owned(),
            attributes: names.iter().map(|name| (prometheus_label(name), *name)).collect(),
            bounds,
        }
    }

    /// The metric around a first point.
    pub(super) fn metric(&self, family: &Family, point: Point, temporality: AggregationTemporality) -> Metric {
        let aggregation_temporality = temporality.into();
        let data = match point {
            Point::Number(point) if family.reading().kind() == Kind::Gauge => {
                Data::Gauge(Gauge { data_points: vec![point] })
            }
            Point::Number(point) => Data::Sum(Sum {
                data_points: vec![point],
                aggregation_temporality,
                is_monotonic: family.reading().kind() == Kind::Counter,
            }),
            Point::Histogram(point) => Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality }),
            Point::Exponential(point) => {
                Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], aggregation_temporality })
            }
        };
        Metric {
            name: self.name.clone(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            data: Some(data),
            ..Metric::default()
        }
    }

    /// The attributes of a series.
    fn attributes(&self, family: &Family, series: &Series) -> Vec<KeyValue> {
        let (tenant, combination) = family.labels(series);
        let mut attributes = Vec::with_capacity(self.attributes.len() + 2);
        let mut overflows = false;
        if let Some(tenant) = tenant {
            attributes.push(text("tenant", tenant.id()));
            overflows = tenant.id() == "__other__";
        }
        for (label, value) in combination.into_iter().flat_map(|combination| combination.pairs()) {
            if label == "otel_metric_overflow" {
                overflows = true;
                continue;
            }
            let name = self.attributes.iter().find(|(known, _)| known == label).map_or(label, |(_, name)| *name);
            attributes.push(text(name, value));
        }
        if overflows {
            attributes.push(flag(OVERFLOW));
        }
        attributes
    }
}

/// What of a series is sent: its total, or what was added since.
pub(super) struct Values<'a> {
    pub(super) words: &'a [u64],
    pub(super) exponential: Option<&'a Exponential>,
    /// When what was added began to be added, in nanoseconds since the epoch.
    pub(super) since: u64,
    pub(super) now: u64,
    /// Exemplars that are older were sent already.
    pub(super) exemplars_since: u64,
}

/// One point of any sort.
#[derive(Debug)]
pub(super) enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

impl Point {
    pub(super) fn new(family: &Family, shape: &Shape, series: &Series, values: &Values<'_>) -> Self {
        let attributes = shape.attributes(family, series);
        let first = values.words.first().copied().unwrap_or_default();
        let (value, since) = match family.reading() {
            Reading::Counter(scale) => (counted(first, *scale), values.since),
            Reading::UpDownCounter => (number_data_point::Value::AsInt(first.cast_signed()), values.since),
            // A gauge has no beginning.
            Reading::Gauge => (number_data_point::Value::AsDouble(f64::from_bits(first)), 0),
            Reading::Histogram { scale, .. } => {
                let buckets = values.words.get(1..).unwrap_or_default();
                let exemplars = exemplars(family, series, buckets.len(), values);
                let sum = in_unit(first, *scale);
                return match values.exponential {
                    Some(counts) => Self::Exponential(exponential_point(counts, sum, attributes, exemplars, values)),
                    None => Self::Histogram(explicit_point(buckets, &shape.bounds, sum, attributes, exemplars, values)),
                };
            }
        };
        Self::Number(NumberDataPoint {
            attributes,
            start_time_unix_nano: since,
            time_unix_nano: values.now,
            value: Some(value),
            ..NumberDataPoint::default()
        })
    }

    /// Adds the point to the metric it belongs to; gives it back if that holds points of another sort.
    pub(super) fn add_to(self, metric: &mut Metric) -> Option<Self> {
        match (self, &mut metric.data) {
            (Self::Number(point), Some(Data::Sum(Sum { data_points, .. }) | Data::Gauge(Gauge { data_points }))) => {
                data_points.push(point);
            }
            (Self::Histogram(point), Some(Data::Histogram(histogram))) => histogram.data_points.push(point),
            (Self::Exponential(point), Some(Data::ExponentialHistogram(histogram))) => {
                histogram.data_points.push(point);
            }
            (point, _) => return Some(point),
        }
        None
    }

    /// The bytes that it takes in a request, but for its own length.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Histogram(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }
}

fn explicit_point(
    buckets: &[u64],
    bounds: &[f64],
    sum: f64,
    attributes: Vec<KeyValue>,
    exemplars: Vec<Exemplar>,
    values: &Values<'_>,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: values.since,
        time_unix_nano: values.now,
        count: buckets.iter().fold(0, |count, bucket| u64::saturating_add(count, *bucket)),
        sum: Some(sum),
        bucket_counts: buckets.to_vec(),
        explicit_bounds: bounds.to_vec(),
        exemplars,
        ..HistogramDataPoint::default()
    }
}

fn exponential_point(
    exponential: &Exponential,
    sum: f64,
    attributes: Vec<KeyValue>,
    exemplars: Vec<Exemplar>,
    values: &Values<'_>,
) -> ExponentialHistogramDataPoint {
    let counts = &exponential.buckets;
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: values.since,
        time_unix_nano: values.now,
        count: counts.iter().fold(exponential.zero_count, |count, bucket| count.saturating_add(*bucket)),
        sum: Some(sum),
        scale: exponential.scale.into(),
        zero_count: exponential.zero_count,
        positive: Some(Buckets { offset: exponential.offset, bucket_counts: counts.clone() }),
        exemplars,
        ..ExponentialHistogramDataPoint::default()
    }
}

/// The exemplars of so many explicit buckets.
fn exemplars(family: &Family, series: &Series, buckets: usize, values: &Values<'_>) -> Vec<Exemplar> {
    let kept = (0..buckets).filter_map(|bucket| family.exemplar(series, bucket));
    kept.filter(|kept| nanoseconds(kept.time) >= values.exemplars_since).map(example).collect()
}

fn example(kept: KeptExemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: nanoseconds(kept.time),
        span_id: kept.exemplar.span_id.to_vec(),
        trace_id: kept.exemplar.trace_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(kept.value)),
        ..Exemplar::default()
    }
}

/// A counter's word: whole numbers as such, the highest as the highest that OTLP has.
fn counted(word: u64, scale: Scale) -> number_data_point::Value {
    match scale {
        Scale::One => number_data_point::Value::AsInt(i64::try_from(word).unwrap_or(i64::MAX)),
        Scale::Billionths | Scale::Float => number_data_point::Value::AsDouble(in_unit(word, scale)),
    }
}

/// A word in the metric's unit.
fn in_unit(word: u64, scale: Scale) -> f64 {
    match scale {
        Scale::One => word as f64,
        Scale::Billionths => word as f64 / 1e9,
        Scale::Float => f64::from_bits(word),
    }
}

/// Since the epoch; 0 before it.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
