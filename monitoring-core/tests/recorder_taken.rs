//! `install` in a process that has a recorder of the `metrics` facade already.
#![cfg(feature = "metrics")]

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use monitoring_core::{InstallError, Monitoring};

/// The application's own recorder.
struct Theirs;

impl Recorder for Theirs {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_recorder_that_the_application_has_is_left_to_it() {
    metrics::set_global_recorder(Theirs).unwrap();

    let error = Monitoring::builder("test").install().unwrap_err();
    assert_eq!(error, InstallError::RecorderTaken);
    assert!(error.to_string().contains("metrics_facade(false)"), "{error}");
    assert!(Monitoring::global().is_none());

    let monitoring = Monitoring::builder("test").metrics_facade(false).install().unwrap();
    assert!(Monitoring::global().is_some());
    metrics::counter!("theirs").increment(1);
    assert!(!monitoring.render().contains("theirs"));
}
