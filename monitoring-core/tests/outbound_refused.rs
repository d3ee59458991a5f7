//! Recording into the facade while its recorder is one of ours, in a process of its own.
#![cfg(feature = "metrics")]

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Counter, InstallError, Monitoring};

const COUNTER: Descriptor = Descriptor::counter("test.counter", Unit::Count("{thing}"), "Things.");

#[test]
fn nothing_goes_from_one_store_into_another() {
    let early = Monitoring::builder("early").record_into_global().build().unwrap();
    let installed = Monitoring::builder("installed").install().unwrap();

    let error = Monitoring::builder("late").record_into_global().build().unwrap_err();
    assert_eq!(error, InstallError::RecorderIsOurs);
    assert!(error.to_string().contains("metrics_facade(false)"), "{error}");

    // The one that was there first finds no recorder that it may use.
    let counter: Counter<()> = early.registry().counter(&COUNTER).unwrap();
    counter.add((), 1);
    early.collect();
    let text = installed.render();
    assert!(!text.contains("test_counter_total") && !text.contains("service_name=\"early\""), "{text}");
    assert!(text.contains("target_info{service_name=\"installed\"} 1\n"), "{text}");
}
