//! What was received, as samples: by the rules of the specification, written anew here.

use std::collections::BTreeMap;

use monitoring_core::Monitoring;
use monitoring_tests::exposition::{Samples, Series};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};

/// Samples by series.
pub(crate) type ByValue = BTreeMap<Series, f64>;

/// The metrics of a request.
pub(crate) fn metrics(request: &ExportMetricsServiceRequest) -> impl Iterator<Item = &Metric> {
    request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics)
}

/// The points of a request.
pub(crate) fn count(request: &ExportMetricsServiceRequest) -> u64 {
    let points = |metric: &Metric| match metric.data.as_ref().unwrap() {
        Data::Gauge(data) => data.data_points.len(),
        Data::Sum(data) => data.data_points.len(),
        Data::Histogram(data) => data.data_points.len(),
        Data::ExponentialHistogram(data) => data.data_points.len(),
        Data::Summary(data) => data.data_points.len(),
    };
    metrics(request).map(|metric| points(metric) as u64).sum()
}

/// The values of each tenant's points, `None` for those of none.
pub(crate) fn tenants(request: &ExportMetricsServiceRequest) -> Vec<Option<String>> {
    samples(request).keys().map(|series| series.labels.get("tenant").cloned()).collect()
}

/// Takes a request's values over: the latest of each series, sums of those that are deltas.
pub(crate) fn add(values: &mut ByValue, request: &ExportMetricsServiceRequest) {
    for metric in metrics(request) {
        let (samples, is_delta) = samples_of(metric);
        for (series, value) in samples {
            let total = values.entry(series).or_default();
            *total = if is_delta { *total + value } else { value };
        }
    }
}

/// The values of one request.
pub(crate) fn samples(request: &ExportMetricsServiceRequest) -> ByValue {
    let mut values = ByValue::new();
    add(&mut values, request);
    values
}

/// What the store shows to Prometheus, without what it says of itself, which changes with each reading.
pub(crate) fn exposition(monitoring: &Monitoring) -> ByValue {
    let samples: Samples = monitoring.render().parse().unwrap();
    let samples = samples.iter().map(|(series, value)| (series.clone(), value));
    without_its_own(samples.collect())
}

/// What is left but for the store's own metrics.
pub(crate) fn without_its_own(mut values: ByValue) -> ByValue {
    values.retain(|series, _| !series.name.starts_with("monitoring_") && series.name != "target_info");
    values
}

fn samples_of(metric: &Metric) -> (Vec<(Series, f64)>, bool) {
    let mut name = metric.name.replace('.', "_");
    match metric.unit.as_str() {
        "s" => name.push_str("_seconds"),
        "By" => name.push_str("_bytes"),
        _ => {}
    }
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            let suffix = if metric.unit == "1" { "_ratio" } else { "" };
            (gauge.data_points.iter().map(|point| number(&format!("{name}{suffix}"), point)).collect(), false)
        }
        Data::Sum(sum) => {
            // The facade's names are Prometheus' already.
            let suffix = if sum.is_monotonic && !metric.unit.is_empty() { "_total" } else { "" };
            let samples = sum.data_points.iter().map(|point| number(&format!("{name}{suffix}"), point)).collect();
            (samples, is_delta(sum.aggregation_temporality))
        }
        Data::Histogram(histogram) => {
            let mut samples = Vec::new();
            for point in &histogram.data_points {
                let labels = labels(&point.attributes);
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{name}");
                let mut count = 0;
                for (place, bucket) in point.bucket_counts.iter().enumerate() {
                    count += bucket;
                    let bound = point.explicit_bounds.get(place).map_or("+Inf".to_owned(), f64::to_string);
                    samples.push((with(&name, "_bucket", &labels, Some(bound)), count as f64));
                }
                assert_eq!(count, point.count, "{name}");
                samples.push((with(&name, "_sum", &labels, None), point.sum.unwrap()));
                samples.push((with(&name, "_count", &labels, None), count as f64));
            }
            (samples, is_delta(histogram.aggregation_temporality))
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn number(name: &str, point: &NumberDataPoint) -> (Series, f64) {
    let value = match point.value.unwrap() {
        Number::AsDouble(value) => value,
        Number::AsInt(value) => value as f64,
    };
    (with(name, "", &labels(&point.attributes), None), value)
}

fn with(name: &str, suffix: &str, labels: &BTreeMap<String, String>, bound: Option<String>) -> Series {
    let mut labels = labels.clone();
    labels.extend(bound.map(|bound| ("le".to_owned(), bound)));
    Series { name: format!("{name}{suffix}"), labels }
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for attribute in attributes {
        let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::BoolValue(value) => value.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(labels.insert(attribute.key.replace('.', "_"), value).is_none(), "{} twice", attribute.key);
    }
    // The one attribute that an exposition has no label for.
    if labels.get("tenant").is_some_and(|tenant| tenant == "__other__") {
        assert_eq!(labels.remove("otel_metric_overflow").as_deref(), Some("true"));
    }
    labels
}

fn is_delta(temporality: i32) -> bool {
    match AggregationTemporality::try_from(temporality).unwrap() {
        AggregationTemporality::Delta => true,
        AggregationTemporality::Cumulative => false,
        AggregationTemporality::Unspecified => panic!("no temporality"),
    }
}

/// When the store was read for a request.
pub(crate) fn read_at(request: &ExportMetricsServiceRequest) -> u64 {
    let times = metrics(request).filter_map(|metric| match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.first().map(|point| point.time_unix_nano),
        Data::Sum(sum) => sum.data_points.first().map(|point| point.time_unix_nano),
        _ => None,
    });
    times.max().unwrap()
}
