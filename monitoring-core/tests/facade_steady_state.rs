//! What a record through the `metrics` facade allocates once its series exists: nothing. This binary has an allocator
//! that counts.
#![cfg(feature = "metrics")]

use monitoring_core::Monitoring;

#[test]
fn a_known_key_of_the_facade_allocates_nothing() {
    let monitoring = Monitoring::builder("test").install().unwrap();
    let record = || {
        for _ in 0..100 {
            metrics::counter!("calls", "queue" => "mail").increment(1);
            metrics::gauge!("level").set(1.0);
            metrics::histogram!("seconds", "queue" => "mail").record(0.5);
        }
    };
    record();
    assert_eq!(allocation_counter::measure(record).count_total, 0);
    assert!(monitoring.render().contains("calls{queue=\"mail\"} 200\n"));
}
