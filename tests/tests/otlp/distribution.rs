//! Histograms: exponential buckets, and exemplars.

use monitoring_core::otlp::{OtlpConfig, Temporality};
use monitoring_core::{Exemplar, Monitoring};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint, exemplar};

use super::collector::{Collector, Protocol};
use super::points::metrics;
use super::service::{Service, quick};
use super::until;

/// The exponential points of `acme.size` that were received.
fn exponential(collector: &Collector) -> Vec<ExponentialHistogramDataPoint> {
    let received = collector.received();
    let points = received.iter().flat_map(|one| metrics(&one.request)).filter(|metric| metric.name == "acme.size");
    points
        .flat_map(|metric| match &metric.data {
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// How many of `values` lie in each bucket of a point, by the definition of the data model.
fn expected(point: &ExponentialHistogramDataPoint, values: &[f64]) -> Vec<u64> {
    let buckets = point.positive.as_ref().unwrap();
    let base = 2_f64.powf(2_f64.powi(-point.scale));
    let bound = |index: i32| base.powi(index);
    (buckets.offset..buckets.offset + buckets.bucket_counts.len() as i32)
        .map(|index| values.iter().filter(|value| bound(index) < **value && **value <= bound(index + 1)).count() as u64)
        .collect()
}

fn service(config: OtlpConfig) -> Service {
    Service::of(Monitoring::builder("acme").otlp(config).exponential_histograms(true).build().unwrap())
}

#[test]
fn exponential_buckets_count_what_was_recorded() {
    let collector = Collector::start(Protocol::Http);
    let service = service(quick().endpoint(collector.metrics_url()));
    // No multiple of 40 is near a bound.
    let values: Vec<f64> = (1..=20).map(|number| 40.0 * f64::from(number)).collect();
    (1..=20).for_each(|number| service.work(number));
    until("all have come", || exponential(&collector).last().is_some_and(|point| point.count == 20));
    let point = exponential(&collector).pop().unwrap();
    assert_eq!(point.sum, Some(values.iter().sum()));
    assert_eq!(point.zero_count, 0);
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts, expected(&point, &values));
    assert_eq!(point.negative, None);
}

#[test]
fn exponential_deltas_add_up() {
    let collector = Collector::start(Protocol::Http);
    let service = service(quick().endpoint(collector.metrics_url()).temporality(Temporality::Delta));
    for number in 0..=4 {
        service.work(10_u64.pow(number));
        until("the next delta has come", || exponential(&collector).len() > number as usize);
    }
    let points = exponential(&collector);
    assert_eq!(points.len(), 5);
    for (number, point) in (0..).zip(points) {
        let value = 40.0 * 10_f64.powi(number);
        assert_eq!((point.count, point.sum), (1, Some(value)));
        assert_eq!(point.positive.as_ref().unwrap().bucket_counts, [1]);
        assert_eq!(expected(&point, &[value]), [1]);
    }
}

#[test]
fn an_exemplar_leads_to_the_span_that_a_value_was_recorded_in() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let collector = Collector::start(Protocol::Http);
        let service = Service::new(quick().endpoint(collector.metrics_url()).temporality(temporality));
        let kept = Exemplar { trace_id: [7; 16], span_id: [9; 8] };
        assert!(service.monitoring.registry().exemplars_from(move || Some(kept)));
        // 40 bytes, which are in the second bucket.
        service.work(1);
        let points = || -> Vec<HistogramDataPoint> {
            let received = collector.received();
            let data = received.iter().flat_map(|one| metrics(&one.request)).filter_map(|metric| match &metric.data {
                Some(Data::Histogram(histogram)) if metric.name == "acme.size" => histogram.data_points.first(),
                _ => None,
            });
            data.filter(|point| point.count > 0).cloned().collect()
        };
        until("the histogram has come", || !points().is_empty());
        let point = points().swap_remove(0);
        assert_eq!(point.bucket_counts, [0, 1, 0, 0]);
        let [exemplar] = &point.exemplars[..] else { panic!("{:?}", point.exemplars) };
        assert_eq!(
            (exemplar.trace_id.as_slice(), exemplar.span_id.as_slice()),
            ([7; 16].as_slice(), [9; 8].as_slice())
        );
        assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(40.0)));
        assert!((point.start_time_unix_nano..=point.time_unix_nano).contains(&exemplar.time_unix_nano));
        if temporality == Temporality::Cumulative {
            let last = || points().pop().unwrap();
            until("the total is sent without what was sent", || last().exemplars.is_empty() && last().count == 1);
        }
    }
}
