//! The budgets of series, and where everything goes that comes after them.

use std::time::Duration;

use super::super::{Counter, Histogram, TenantCounter, TenantGauge, TenantHistogram};
use super::*;

fn overflow(samples: &Samples, family: &str) -> f64 {
    samples.value("monitoring_series_overflow_total", &[("family", family)]).unwrap()
}

fn held(samples: &Samples, name: &str, family: &str) -> f64 {
    samples.value(name, &[("family", family)]).unwrap()
}

#[test]
fn past_the_budget_of_a_family_each_tenant_keeps_its_floor_and_nothing_is_lost() {
    let monitoring = limited(10, 100, 100);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let noisy = tenant(&monitoring, "noisy");
    for number in 0..20 {
        counter.add(noisy, labels(&monitoring, Color::Red, &number.to_string()), 3);
    }
    for number in 0..25 {
        let tenant = tenant(&monitoring, &format!("tenant-{number}"));
        for name in ["1", "2"] {
            counter.add(tenant, labels(&monitoring, Color::Red, name), 3);
        }
    }

    let samples = samples(&monitoring);
    assert_eq!(samples.sum("test_tenant_total", &[]), 70.0 * 3.0);
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "noisy")]), 10.0 * 3.0);
    for number in 0..25 {
        let tenant = format!("tenant-{number}");
        assert_eq!(samples.sum("test_tenant_total", &[("tenant", &tenant), ("name", "1")]), 3.0);
        assert_eq!(samples.sum("test_tenant_total", &[("tenant", &tenant)]), 3.0);
    }
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "__other__"), ("name", "2")]), 25.0 * 3.0);
    assert_eq!(overflow(&samples, "test_tenant_total"), 10.0 + 25.0);
    assert_eq!(held(&samples, "monitoring_series", "test_tenant_total"), 10.0 + 25.0 + 11.0);
}

#[test]
fn a_noisy_tenant_uses_up_its_own_budget_and_no_other() {
    let monitoring = limited(1000, 5, 100);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let (noisy, quiet) = (tenant(&monitoring, "noisy"), tenant(&monitoring, "quiet"));
    for number in 0..50 {
        counter.add(noisy, labels(&monitoring, Color::Red, &number.to_string()), 1);
    }
    for number in 20..24 {
        counter.add(quiet, labels(&monitoring, Color::Red, &number.to_string()), 1);
    }
    // What it has, it keeps.
    counter.add(noisy, labels(&monitoring, Color::Red, "4"), 1);

    let samples = samples(&monitoring);
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "noisy")]), 6.0);
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "quiet")]), 4.0);
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "__other__")]), 45.0);
    // The shared series still tell what it was.
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "__other__"), ("name", "49")]), 1.0);
    assert_eq!(overflow(&samples, "test_tenant_total"), 45.0);
}

#[test]
fn combinations_past_the_budget_share_a_series_of_each_tenant() {
    let monitoring = limited(1000, 1000, 10);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let acme = tenant(&monitoring, "acme");
    for number in 0..30 {
        counter.add(acme, labels(&monitoring, Color::Red, &number.to_string()), 1);
        counter.add(Tenant::NONE, labels(&monitoring, Color::Red, &number.to_string()), 1);
    }

    let samples = samples(&monitoring);
    let value = |tenant, label| samples.value("test_tenant_total", &[("tenant", tenant), label]);
    for tenant in ["acme", "__none__"] {
        assert_eq!(samples.sum("test_tenant_total", &[("tenant", tenant)]), 30.0);
        assert_eq!(value(tenant, ("otel_metric_overflow", "true")), Some(20.0));
    }
    assert_eq!(overflow(&samples, "test_tenant_total"), 40.0);
}

#[test]
fn a_record_past_both_budgets_is_counted_once() {
    let monitoring = limited(1, 1, 1);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let acme = tenant(&monitoring, "acme");
    counter.add(acme, labels(&monitoring, Color::Red, "first"), 1);
    counter.add(acme, labels(&monitoring, Color::Red, "second"), 1);
    counter.add(acme, labels(&monitoring, Color::Red, "second"), 1);

    let samples = samples(&monitoring);
    let other = [("tenant", "__other__"), ("otel_metric_overflow", "true")];
    assert_eq!(samples.value("test_tenant_total", &other), Some(2.0));
    assert_eq!(overflow(&samples, "test_tenant_total"), 2.0);
}

#[test]
fn a_platform_family_has_one_overflow_series() {
    let monitoring = limited(10, 10, 3);
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let histogram: Histogram<Labels> = monitoring.registry().histogram(&DURATION).unwrap();
    for number in 0..10 {
        counter.add(labels(&monitoring, Color::Red, &number.to_string()), 2);
        histogram.record(labels(&monitoring, Color::Red, &number.to_string()), Duration::from_millis(50));
    }

    let samples = samples(&monitoring);
    assert_eq!(samples.value("test_counter_total", &[("otel_metric_overflow", "true")]), Some(14.0));
    assert_eq!(samples.sum("test_counter_total", &[]), 20.0);
    assert_eq!(samples.value("test_duration_seconds_count", &[("otel_metric_overflow", "true")]), Some(7.0));
    assert_eq!(samples.sum("test_duration_seconds_count", &[]), 10.0);
    assert_eq!(overflow(&samples, "test_counter_total"), 7.0);
    assert_eq!(overflow(&samples, "test_duration_seconds"), 7.0);
    assert_eq!(held(&samples, "monitoring_series", "test_counter_total"), 4.0);
}

#[test]
fn reserved_tenants_have_all_their_series_whoever_used_up_the_budget() {
    // A histogram's series each take a page, so that pages run out first if anything does.
    let combinations = 300;
    let monitoring = limited(50, 50, combinations);
    let histogram: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let acme = tenant(&monitoring, "acme");
    let label = |number: u32| labels(&monitoring, Color::Red, &number.to_string());
    for number in 0..60 {
        histogram.record(acme, label(number), Duration::from_millis(1));
    }
    for reserved in [Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER] {
        for number in 0..combinations + 2 {
            histogram.record(reserved, label(number), Duration::from_millis(1));
        }
    }

    let samples = samples(&monitoring);
    let count = |labels: &[(&str, &str)]| samples.sum("test_tenant_duration_seconds_count", labels);
    assert_eq!(count(&[("tenant", "acme")]), 50.0);
    for tenant in ["__none__", "__unknown__"] {
        assert_eq!(count(&[("tenant", tenant)]), f64::from(combinations) + 2.0);
        assert_eq!(count(&[("tenant", tenant), ("otel_metric_overflow", "true")]), 2.0);
    }
    assert_eq!(count(&[]), 60.0 + 3.0 * (f64::from(combinations) + 2.0));
}

#[test]
fn a_gauge_past_the_budget_is_counted_and_not_shown_as_that_of_somebody_else() {
    let monitoring = limited(100, 1, 100);
    let gauge: TenantGauge<Labels> = monitoring.registry().tenant_gauge(&TENANT_GAUGE).unwrap();
    let acme = tenant(&monitoring, "acme");
    let (first, second) = (labels(&monitoring, Color::Red, "first"), labels(&monitoring, Color::Red, "second"));
    gauge.set(acme, first, 1.0);
    gauge.set(acme, second, 2.0);
    gauge.clear(acme, second);

    let samples = samples(&monitoring);
    let value = |tenant, name| samples.sum("test_tenant_gauge", &[("tenant", tenant), ("name", name)]);
    assert_eq!((value("acme", "first"), value("acme", "second"), value("__other__", "second")), (1.0, 0.0, 0.0));
    assert_eq!(overflow(&samples, "test_tenant_gauge"), 1.0);
}

#[test]
fn ids_that_are_made_up_are_one_series_and_take_no_memory() {
    let monitoring = monitoring();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    counter.add(Tenant::UNKNOWN, labels, 1);
    let bytes = || held(&samples(&monitoring), "monitoring_series_bytes", "test_tenant_total");
    let before = bytes();
    for number in 0..100_000 {
        counter.add(monitoring.tenants().lookup(&format!("made-up-{number}")), labels, 1);
    }

    assert_eq!(bytes(), before);
    let samples = samples(&monitoring);
    assert_eq!(samples.value("monitoring_series", &[("family", "test_tenant_total")]), Some(1.0));
    assert_eq!(samples.sum("test_tenant_total", &[("tenant", "__unknown__")]), 100_001.0);
}

#[test]
fn memory_stops_growing_when_the_budgets_are_used_up() {
    let monitoring = limited(200, 20, 64);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let histogram: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let tenants: Vec<_> = (0..100).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let flood = |from: usize| {
        for number in from..from + 20_000 {
            let labels = labels(&monitoring, Color::Red, &number.to_string());
            counter.add(tenants[number % tenants.len()], labels, 1);
            histogram.record(tenants[number % tenants.len()], labels, Duration::ZERO);
        }
    };
    let bytes = |samples: &Samples| {
        held(samples, "monitoring_series_bytes", "test_tenant_total")
            + held(samples, "monitoring_series_bytes", "test_tenant_duration_seconds")
    };

    flood(0);
    let full = bytes(&samples(&monitoring));
    flood(20_000);
    let after = samples(&monitoring);
    assert_eq!(bytes(&after), full);
    assert!(full < 200_000.0, "{full} bytes");
    assert_eq!(after.sum("test_tenant_total", &[]), 40_000.0);
    assert_eq!(after.sum("test_tenant_duration_seconds_count", &[]), 40_000.0);
    assert!(held(&after, "monitoring_series", "test_tenant_total") <= 200.0 + 65.0);
}
