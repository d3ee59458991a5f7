//! Values that cannot be recorded are rejected and counted, and what was recorded before is unharmed.

use std::time::Duration;

use metrics::{gauge, histogram};
use monitoring_core::{Counter, Gauge, Histogram, Monitoring};
use monitoring_tests::exposition::Samples;

use super::facade::installed;
use super::metrics::{LEVEL, PLATFORM, Route, SIZE, TIME};

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

/// What was rejected, for any reason.
fn rejected(samples: &Samples) -> f64 {
    samples.sum("monitoring_rejected_samples_total", &[])
}

const NOT_FINITE: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

#[test]
fn what_is_not_finite_is_rejected_and_counted() {
    let monitoring = Monitoring::builder("rejected").build().unwrap();
    let level: Gauge<Route> = monitoring.registry().gauge(&LEVEL).unwrap();
    let labels = Route::new(&monitoring, "/a");
    level.set(labels, 1.5);
    for value in NOT_FINITE {
        level.set(labels, value);
    }
    let samples = samples(&monitoring);
    assert_eq!(samples.value("truth_level", &[("route", "/a")]), Some(1.5));
    assert_eq!(rejected(&samples), 3.0);
}

#[test]
fn what_comes_through_the_facade_and_is_not_finite_is_rejected_and_counted() {
    let monitoring = installed();
    // Other tests record into the same store, but nothing that is not finite.
    let not_finite = |samples: &Samples| samples.sum("monitoring_rejected_samples_total", &[("reason", "not_finite")]);
    gauge!("rejected_level").set(1.5);
    histogram!("rejected_size").record(0.25);
    let before = samples(monitoring);
    for value in NOT_FINITE {
        gauge!("rejected_level").set(value);
        gauge!("rejected_level").increment(value);
        gauge!("rejected_level").decrement(value);
        histogram!("rejected_size").record(value);
    }
    let after = samples(monitoring);
    assert_eq!(not_finite(&after) - not_finite(&before), 12.0);
    assert_eq!(after.value("rejected_level", &[]), Some(1.5));
    assert_eq!(after.value("rejected_size_sum", &[]), Some(0.25));
    assert_eq!(after.value("rejected_size_count", &[]), Some(1.0));
}

#[test]
fn a_negative_duration_that_comes_through_the_facade_is_rejected_and_counted() {
    let monitoring = installed();
    let other_than_not_finite = |samples: &Samples| {
        rejected(samples) - samples.sum("monitoring_rejected_samples_total", &[("reason", "not_finite")])
    };
    histogram!("rejected_duration_seconds").record(0.25);
    let before = samples(monitoring);
    for value in [-1e-9, -1.0, f64::MIN] {
        histogram!("rejected_duration_seconds").record(value);
    }
    let after = samples(monitoring);
    // A sum that falls looks like a counter that was reset.
    assert_eq!(after.value("rejected_duration_seconds_sum", &[]), Some(0.25));
    assert_eq!(after.value("rejected_duration_seconds_count", &[]), Some(1.0));
    assert_eq!(other_than_not_finite(&after) - other_than_not_finite(&before), 3.0);
}

#[test]
fn a_counter_that_would_overflow_keeps_its_value_and_what_was_too_much_is_counted() {
    let monitoring = Monitoring::builder("rejected").build().unwrap();
    let counter: Counter<Route> = monitoring.registry().counter(&PLATFORM).unwrap();
    let labels = Route::new(&monitoring, "/a");
    counter.add(labels, u64::MAX - 1);
    counter.add(labels, 1);
    assert_eq!(rejected(&samples(&monitoring)), 0.0);
    counter.add(labels, 1);
    counter.add(labels, u64::MAX);
    let text = monitoring.render();
    assert!(text.contains(&format!("truth_platform_total{{route=\"/a\"}} {}\n", u64::MAX)), "{text}");
    assert_eq!(rejected(&samples(&monitoring)), 2.0);
}

#[test]
fn an_observation_that_would_overflow_the_sum_is_rejected_and_counted() {
    let monitoring = Monitoring::builder("rejected").build().unwrap();
    let sizes: Histogram<Route, u64> = monitoring.registry().histogram(&SIZE).unwrap();
    let labels = Route::new(&monitoring, "/a");
    sizes.record(labels, 1000);
    sizes.record(labels, u64::MAX);
    sizes.record(labels, 24);
    let samples = samples(&monitoring);
    assert_eq!(samples.value("truth_size_bytes_sum", &[("route", "/a")]), Some(1024.0));
    assert_eq!(samples.value("truth_size_bytes_count", &[("route", "/a")]), Some(2.0));
    assert_eq!(rejected(&samples), 1.0);
}

#[test]
fn a_duration_that_is_longer_than_the_store_can_count_is_rejected_and_counted() {
    let monitoring = Monitoring::builder("rejected").build().unwrap();
    let durations: Histogram<Route> = monitoring.registry().histogram(&TIME).unwrap();
    let labels = Route::new(&monitoring, "/a");
    durations.record(labels, Duration::from_millis(250));
    // 584 years are as many nanoseconds as a word holds.
    durations.record(labels, Duration::MAX);
    durations.record(labels, Duration::from_millis(750));
    let samples = samples(&monitoring);
    assert_eq!(samples.value("truth_time_seconds_sum", &[("route", "/a")]), Some(1.0));
    assert_eq!(samples.value("truth_time_seconds_count", &[("route", "/a")]), Some(2.0));
    assert_eq!(rejected(&samples), 1.0);
}
