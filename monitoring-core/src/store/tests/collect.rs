//! Collectors, which run before each scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{Collect, Gauge};
use super::*;

const SIMPLE: Descriptor = Descriptor::gauge("test.collected", THINGS, "Things.");

fn failures(samples: &Samples) -> Option<f64> {
    samples.value("monitoring_collect_failures_total", &[])
}

#[test]
fn a_collector_runs_before_each_scrape_and_sets_what_it_shows() {
    let monitoring = monitoring();
    let gauge: Gauge<()> = monitoring.registry().gauge(&SIMPLE).unwrap();
    let runs = AtomicU64::new(0);
    monitoring.registry().on_collect(move || {
        gauge.set((), (runs.fetch_add(1, Ordering::Relaxed) + 1) as f64);
        Collect::Keep
    });
    for expected in [1.0, 2.0, 3.0] {
        assert_eq!(samples(&monitoring).value("test_collected", &[]), Some(expected));
    }
}

#[test]
fn a_collector_that_asks_to_be_removed_runs_once_and_is_dropped() {
    let monitoring = monitoring();
    let runs = Arc::new(AtomicU64::new(0));
    for collect in [Collect::Keep, Collect::Remove, Collect::Keep] {
        let runs = Arc::clone(&runs);
        monitoring.registry().on_collect(move || {
            runs.fetch_add(1, Ordering::Relaxed);
            collect
        });
    }
    monitoring.render();
    assert_eq!((runs.load(Ordering::Relaxed), Arc::strong_count(&runs)), (3, 3));
    monitoring.render();
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[test]
fn a_panic_in_a_collector_is_counted_and_the_others_run() {
    let monitoring = monitoring();
    let gauge: Gauge<()> = monitoring.registry().gauge(&SIMPLE).unwrap();
    monitoring.registry().on_collect(|| panic!("a collector's panic"));
    monitoring.registry().on_collect(move || {
        gauge.set((), 1.0);
        Collect::Keep
    });
    assert_eq!(failures(&samples(&monitoring)), Some(1.0));
    let second = samples(&monitoring);
    assert_eq!(failures(&second), Some(2.0));
    assert_eq!(second.value("test_collected", &[]), Some(1.0));
}

#[test]
fn a_collector_may_register_collectors_and_families() {
    let monitoring = monitoring();
    // A strong handle, so that the collector can do all that a program can.
    let registry = monitoring.registry().clone();
    monitoring.registry().on_collect(move || {
        let gauge: Gauge<()> = registry.gauge(&SIMPLE).unwrap();
        registry.on_collect(move || {
            gauge.set((), 7.0);
            Collect::Remove
        });
        Collect::Remove
    });
    assert_eq!(samples(&monitoring).value("test_collected", &[]), None);
    assert_eq!(samples(&monitoring).value("test_collected", &[]), Some(7.0));
}

#[test]
fn a_collector_that_registers_another_when_it_is_dropped_does_not_deadlock() {
    struct Again(super::super::Registry);
    impl Drop for Again {
        fn drop(&mut self) {
            self.0.on_collect(|| Collect::Keep);
        }
    }
    let monitoring = monitoring();
    let again = Again(monitoring.registry().clone());
    monitoring.registry().on_collect(move || {
        let _ = &again;
        Collect::Remove
    });
    monitoring.render();
    assert_eq!(failures(&samples(&monitoring)), Some(0.0));
}
