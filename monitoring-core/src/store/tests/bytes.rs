//! The bytes of a store: nothing takes more, and what finds no room is not lost.

use std::time::Duration;

use super::super::{Counter, Exemplar, Histogram, TenantCounter, TenantHistogram};
use super::*;

/// The least that can be set.
const LEAST: usize = 1 << 20;

fn least() -> Monitoring {
    Monitoring::builder("test").cardinality_budget(CardinalityBudget::default().bytes(LEAST)).build().unwrap()
}

/// The bytes that the store says its families take.
fn taken(samples: &Samples) -> f64 {
    samples.sum("monitoring_series_bytes", &[])
}

#[test]
fn a_store_that_is_full_goes_on_recording_into_overflow_series() {
    const TENANTS: u64 = 50;
    const NAMES: u64 = 400;
    let monitoring = least();
    let registry = monitoring.registry();
    let counter: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let platform: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let tenants: Vec<_> = (0..TENANTS).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let flood = || {
        for name in 0..NAMES {
            let labels = labels(&monitoring, Color::Red, &name.to_string());
            platform.add(labels, 1);
            for tenant in &tenants {
                counter.add(*tenant, labels, 2);
                duration.record(*tenant, labels, Duration::from_millis(500));
            }
        }
    };
    // What the store keeps about itself is made by a scrape.
    samples(&monitoring);
    flood();
    let first = samples(&monitoring);
    flood();
    let second = samples(&monitoring);

    for (samples, times) in [(&first, 1), (&second, 2)] {
        let records = times * TENANTS * NAMES;
        assert_eq!(samples.sum("test_tenant_total", &[]), 2.0 * records as f64);
        assert_eq!(samples.sum("test_tenant_duration_seconds_count", &[]), records as f64);
        assert_eq!(samples.sum("test_tenant_duration_seconds_sum", &[]), 0.5 * records as f64);
        assert_eq!(samples.sum("test_counter_total", &[]), (times * NAMES) as f64);
        assert!(samples.sum("monitoring_series_overflow_total", &[("family", "test_tenant_duration_seconds")]) > 0.0);
        assert!(taken(samples) <= LEAST as f64, "{} bytes", taken(samples));
    }
    assert_eq!(taken(&first), taken(&second));
}

#[test]
fn label_texts_are_among_the_bytes() {
    let monitoring = least();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let before = taken(&samples(&monitoring));
    // Each of 256 bytes, the longest there can be: they do not fit.
    for number in 0..10_000 {
        counter.add(labels(&monitoring, Color::Red, &format!("{number:0256}")), 1);
    }
    let after = samples(&monitoring);
    assert!(taken(&after) > before + 300_000.0, "{before} bytes, then {}", taken(&after));
    assert!(taken(&after) <= LEAST as f64, "{} bytes", taken(&after));
    let overflow = after.value("test_counter_total", &[("otel_metric_overflow", "true")]).unwrap();
    assert!(overflow > 1_000.0, "{overflow}");
    assert_eq!(after.sum("test_counter_total", &[]), 10_000.0);
}

#[test]
fn what_is_reported_is_what_was_taken() {
    let monitoring = least();
    let registry = monitoring.registry();
    assert!(registry.exemplars_from(|| Some(Exemplar { trace_id: [1; 16], span_id: [1; 8] })));
    let counter: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let platform: Histogram<Labels> = registry.histogram(&DURATION).unwrap();
    let families = || (0..).map_while(|place| registry.family_at(place));
    let tenants: Vec<_> = (0..40).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    for name in 0..200 {
        let labels = labels(&monitoring, Color::Red, &name.to_string());
        platform.record(labels, Duration::from_millis(5));
        for tenant in tenants.iter().take(name % 40) {
            counter.add(*tenant, labels, 1);
            duration.record(*tenant, labels, Duration::from_millis(5));
        }
        if name % 20 == 0 {
            // Series end, others take their pages, and families ask again for bytes.
            families().for_each(|family| (0..4).for_each(|_| family.sweep(1)));
            samples(&monitoring);
        }
        let reported: usize = families().map(Family::bytes).sum();
        assert_eq!(reported, families().next().unwrap().table.bytes.used(), "after {name}");
    }
}
