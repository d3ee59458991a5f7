//! Many tenants, and more than the budget has room for.

use super::*;
use crate::{Detail, Tenant};

#[test]
fn what_is_over_the_budget_has_the_same_overflow_series_in_both() {
    let budget = CardinalityBudget::default().per_family(2).per_tenant(1).combinations(2);
    let pair = Pair::new(budget);
    pair.both(|side| {
        for id in ["acme", "zeta", "omega", "nobody"] {
            let tenant = side.monitoring.tenants().lookup(id);
            for route in ["/a", "/b", "/c", "/d"] {
                let labels = side.labels(route, None);
                side.counter.add(labels, 1);
                side.level.add(labels, 2);
                side.gauge.set(labels, 3.0);
                side.duration.record(labels, Duration::from_secs(4));
                side.tenant_counter.add(tenant, labels, 5);
                side.tenant_gauge.set(tenant, labels, 6.0);
                side.tenant_duration.record(tenant, labels, Duration::from_secs(7));
            }
        }
    });
    pair.check();
    let [_, theirs] = pair.samples();
    assert_eq!(theirs.sum("test_tenant_counter_total", &[]), 80.0);
    assert!(theirs.sum("test_tenant_counter_total", &[("tenant", "__other__")]) > 0.0);
    assert_eq!(theirs.value("test_counter_total", &[("otel_metric_overflow", "true")]), Some(8.0));
    assert_eq!(theirs.value("test_level", &[("otel_metric_overflow", "true")]), Some(16.0));
    assert!(theirs.value("monitoring_series_overflow_total", &[("family", "test_counter_total")]) > Some(0.0));
}

#[test]
fn a_tier_that_is_not_named_here_is_not_named_there() {
    let pair = Pair::new(CardinalityBudget::default().detail(Tier::Free, Detail::Aggregate));
    pair.both(|side| {
        let tenant = side.monitoring.tenants().register("small".parse().unwrap(), Tier::Free).unwrap();
        side.tenant_counter.add(tenant, side.labels("/a", None), 1);
    });
    pair.check();
    let [_, theirs] = pair.samples();
    assert_eq!(theirs.value("test_tenant_counter_total", &[("tenant", "__other__"), ("route", "/a")]), Some(1.0));
}

#[test]
fn a_million_hostile_tenants_make_a_bounded_number_of_handles() {
    const TENANTS: u64 = 1_000_000;
    let recorder = Arc::new(Counting::default());
    let budget = CardinalityBudget::default().per_family(100).per_tenant(10);
    let builder = Monitoring::builder("test").cardinality_budget(budget).max_tenants(500);
    let side = Side::of(builder.record_into(Arc::clone(&recorder)).build().unwrap());
    let labels = side.labels("/a", None);
    for number in 0..TENANTS {
        let tenant = side.monitoring.tenants().admit(&format!("evil-{number}"));
        side.tenant_counter.add(tenant, labels, 1);
    }
    // The family's own, one for each registered tenant at least, and the reserved ones.
    let most = 100 + 500 + 3;
    assert!(handles(&side, &TENANT_COUNTER) <= most);
    assert!(handles(&side, &TENANT_COUNTER) > 100);
    assert!(recorder.handles.load(Ordering::Relaxed) <= most as u64);
    assert_eq!(recorder.told.load(Ordering::Relaxed), TENANTS);
    assert_eq!(side.monitoring.tenants().lookup("evil-999999"), Tenant::UNKNOWN);
}
