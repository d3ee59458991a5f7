//! An application that sets its recorder only after the monitoring was installed, in a process of its own.
#![cfg(feature = "metrics")]

use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Counter, Gauge, InstallError, Monitoring, UpDownCounter};
use monitoring_tests::exposition::Samples;

const THINGS: Unit = Unit::Count("{thing}");
const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "Things.");
const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "Things.");
const GAUGE: Descriptor = Descriptor::gauge("test.gauge", THINGS, "Things.");

#[test]
fn what_comes_after_the_recorder_is_counted_and_levels_catch_up() {
    let monitoring = Monitoring::builder("test").record_into_global().install().unwrap();
    let registry = monitoring.registry();
    let counter: Counter<()> = registry.counter(&COUNTER).unwrap();
    let level: UpDownCounter<()> = registry.up_down_counter(&LEVEL).unwrap();
    let gauge: Gauge<()> = registry.gauge(&GAUGE).unwrap();
    let in_flight = level.in_flight(());
    let still_in_flight = level.in_flight(());
    counter.add((), 1);
    gauge.set((), 7.0);

    // Our own recorder did not take the place.
    let endpoint = PrometheusBuilder::new().install_recorder().unwrap();
    counter.add((), 10);
    drop(in_flight);
    let samples = || endpoint.render().parse::<Samples>().unwrap();
    // The thread looks for the recorder every ten seconds.
    let deadline = Instant::now() + Duration::from_secs(30);
    while samples().value("test_level", &[]).is_none() {
        assert!(Instant::now() < deadline, "the recorder was not found:\n{}", endpoint.render());
        std::thread::sleep(Duration::from_millis(20));
    }
    counter.add((), 100);
    drop(still_in_flight);
    level.add((), 3);

    let samples = samples();
    assert_eq!(samples.value("test_counter_total", &[]), Some(110.0));
    assert_eq!(samples.value("test_level", &[]), Some(3.0));
    assert_eq!(samples.value("test_gauge", &[]), Some(7.0));
    assert_eq!(samples.value("target_info", &[("service_name", "test")]), Some(1.0));
    assert!(endpoint.render().contains("# HELP test_counter_total Things.\n"));

    // A recorder of this thread alone is told, and not taken for the one of the process.
    let local = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&local, || {
        let second: Counter<()> =
            registry.counter(&const { Descriptor::counter("test.second", THINGS, "Second things.") }).unwrap();
        second.add((), 1);
    });
    let second: Counter<()> =
        registry.counter(&const { Descriptor::counter("test.second", THINGS, "Second things.") }).unwrap();
    second.add((), 1);
    for text in [local.handle().render(), endpoint.render()] {
        assert!(text.contains("test_second_total 1\n"), "{text}");
    }

    // The facade's macros are the application's, and a second monitoring may use the same recorder.
    metrics::counter!("theirs").increment(1);
    assert!(endpoint.render().contains("theirs 1\n"));
    assert!(Monitoring::builder("second").record_into_global().build().is_ok());
    assert_eq!(Monitoring::builder("third").install().unwrap_err(), InstallError::AlreadyInstalled);
}
