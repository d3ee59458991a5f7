//! Deltas: whatever happens on the way, they add up to what was recorded.

use monitoring_core::otlp::Temporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::collector::{Collector, Mode, Protocol};
use super::points::{ByValue, add, exposition, metrics, without_its_own};
use super::service::{SHORTER_THAN_A_PAUSE, Service, quick};
use super::until;

/// What the accepted requests add up to.
fn total(collector: &Collector) -> ByValue {
    let mut values = ByValue::new();
    for received in collector.received().iter().filter(|received| received.was_accepted) {
        add(&mut values, &received.request);
    }
    without_its_own(values)
}

/// Sums of seconds are rounded once for each request.
fn is_close(found: &ByValue, expected: &ByValue) -> bool {
    found.len() == expected.len()
        && expected.iter().all(|(series, value)| {
            let found = found.get(series).copied().unwrap_or(f64::NAN);
            if series.name.contains("seconds") && !series.name.ends_with("_bucket") {
                (found - value).abs() <= value.abs() * 1e-12
            } else {
                found == *value
            }
        })
}

#[test]
fn deltas_add_up_to_what_was_recorded() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(quick().endpoint(collector.metrics_url()).temporality(Temporality::Delta));
    for number in 1..=5 {
        service.work(number);
        let expected = exposition(&service.monitoring);
        until("the deltas add up", || is_close(&total(&collector), &expected));
    }
    // What does not change is not sent: one request says all there is, apart from what the store says of itself.
    let received = collector.received();
    let first = &received[0];
    assert!(metrics(&first.request).any(|metric| metric.name == "acme.calls"));
    for metric in metrics(&first.request) {
        let is_cumulative = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => sum.aggregation_temporality == 2,
            Data::Histogram(histogram) => histogram.aggregation_temporality == 2,
            _ => continue,
        };
        assert_eq!(is_cumulative, metric.name == "acme.level", "{}", metric.name);
    }
}

#[test]
fn a_series_at_rest_is_not_sent_again() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(quick().endpoint(collector.metrics_url()).temporality(Temporality::LowMemory));
    service.work(1);
    let expected = exposition(&service.monitoring);
    until("the deltas add up", || is_close(&total(&collector), &expected));
    let before = collector.received().len();
    until("there were more exports", || collector.received().len() > before + 3);
    let has_calls =
        |place: usize| metrics(&collector.received()[place].request).any(|metric| metric.name == "acme.calls");
    let after = collector.received().len();
    assert!((before + 1..after).all(|place| !has_calls(place)));
}

#[test]
fn the_intervals_of_deltas_follow_on_each_other() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(quick().endpoint(collector.metrics_url()).temporality(Temporality::Delta));
    let intervals = || -> Vec<(u64, u64)> {
        let received = collector.received();
        let sums = received.iter().flat_map(|one| metrics(&one.request)).filter_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) if metric.name == "acme.time" => sum.data_points.first(),
            _ => None,
        });
        sums.map(|point| (point.start_time_unix_nano, point.time_unix_nano)).collect()
    };
    for number in 1..=4 {
        service.work(number);
        until("the next delta has come", || intervals().len() >= number as usize);
    }
    let intervals = intervals();
    assert!(intervals.iter().all(|(start, end)| 0 < *start && start <= end), "{intervals:?}");
    assert!(intervals.windows(2).all(|pair| pair[0].1 == pair[1].0), "{intervals:?}");
}

#[test]
fn what_a_lost_request_should_have_said_is_in_the_next_one_and_only_once() {
    let collector = Collector::start(Protocol::Http);
    let config = quick().endpoint(collector.metrics_url()).temporality(Temporality::Delta);
    let service = Service::new(config.export_timeout(SHORTER_THAN_A_PAUSE));
    for (number, mode) in (1..).zip([
        Mode::Fail(503, None),
        Mode::Accept,
        Mode::Fail(400, None),
        Mode::Fail(429, Some(1)),
        Mode::Accept,
        Mode::Fail(500, None),
    ]) {
        collector.set(mode);
        service.work(number);
        let before = collector.received().len();
        until("some requests have come", || collector.received().len() > before + 2);
    }
    collector.set(Mode::Accept);
    let expected = exposition(&service.monitoring);
    until("the deltas add up", || is_close(&total(&collector), &expected));
    let status = service.monitoring.otlp_status().unwrap();
    assert!(status.dropped > 0, "{status:?}");
}
