//! What is kept for the tenants of a tier, and how much of them is shown.

use std::time::Duration;

use proptest::prelude::*;

use super::super::budget::Budget;
use super::super::table::Occupancy;
use super::super::{TenantCounter, TenantGauge, TenantHistogram};
use super::*;
use crate::tenant::Detail;

const TIERS: [Tier; 3] = [Tier::Free, Tier::Standard, Tier::Enterprise];

const SUMMARY: Descriptor = Descriptor::counter("test.summary", THINGS, "Things.")
    .labels(&["kind", "name"])
    .per_tenant()
    .detail(Detail::Summary);

fn with_budget(budget: CardinalityBudget) -> Monitoring {
    Monitoring::builder("test").cardinality_budget(budget).build().unwrap()
}

fn of_tier(monitoring: &Monitoring, tier: Tier) -> Tenant {
    monitoring.tenants().register(tier.as_str().parse().unwrap(), tier).unwrap()
}

#[test]
fn a_tier_has_what_is_reserved_for_it_whoever_came_first() {
    let monitoring = with_budget(CardinalityBudget::default().per_family(10).reserve(Tier::Enterprise, 4));
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let record = |tenant, name: &str| counter.add(tenant, labels(&monitoring, Color::Red, name), 1);
    // Many with their floors alone are more than the budget; one takes all else that it can get.
    for number in 0..20 {
        record(tenant(&monitoring, &format!("tenant-{number}")), "0");
    }
    let [free, _, enterprise] = TIERS.map(|tier| of_tier(&monitoring, tier));
    for tenant in [free, enterprise] {
        (0..10).for_each(|number| record(tenant, &number.to_string()));
    }

    let samples = samples(&monitoring);
    let sum = |tenant| samples.sum("test_tenant_total", &[("tenant", tenant)]);
    assert_eq!((sum("free"), sum("enterprise"), sum("__other__")), (1.0, 4.0, 15.0));
    assert_eq!(samples.sum("test_tenant_total", &[]), 40.0);
}

#[test]
fn a_reservation_that_is_not_used_is_kept() {
    let monitoring = with_budget(CardinalityBudget::default().per_family(10).reserve(Tier::Enterprise, 4));
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let [free, standard, enterprise] = TIERS.map(|tier| of_tier(&monitoring, tier));
    for tenant in [free, standard, enterprise] {
        for number in 0..10 {
            counter.add(tenant, labels(&monitoring, Color::Red, &number.to_string()), 1);
        }
    }
    let samples = samples(&monitoring);
    let sum = |tenant| samples.sum("test_tenant_total", &[("tenant", tenant)]);
    // Six are for all; the second tenant has its floor.
    assert_eq!((sum("free"), sum("standard"), sum("enterprise"), sum("__other__")), (6.0, 1.0, 4.0, 19.0));
}

#[test]
fn a_tenant_that_is_not_shown_by_name_is_in_the_shared_series_with_its_labels_and_is_no_overflow() {
    let budget =
        CardinalityBudget::default().detail(Tier::Free, Detail::Aggregate).detail(Tier::Standard, Detail::Summary);
    let monitoring = with_budget(budget);
    let registry = monitoring.registry();
    let full: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let summary: TenantCounter<Labels> = registry.tenant_counter(&SUMMARY).unwrap();
    let duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let gauge: TenantGauge<Labels> = registry.tenant_gauge(&TENANT_GAUGE).unwrap();
    for (tier, amount) in TIERS.into_iter().zip([1, 10, 100]) {
        let tenant = of_tier(&monitoring, tier);
        for name in ["a", "b"] {
            let labels = labels(&monitoring, Color::Red, name);
            full.add(tenant, labels, amount);
            summary.add(tenant, labels, amount);
            (0..amount).for_each(|_| duration.record(tenant, labels, Duration::from_millis(500)));
            gauge.set(tenant, labels, amount as f64);
            gauge.clear(tenant, labels);
            gauge.set(tenant, labels, amount as f64);
        }
    }

    let samples = samples(&monitoring);
    let values = |name| {
        ["free", "standard", "enterprise", "__other__"].map(|tenant| {
            let values =
                ["a", "b"].map(|label| samples.value(name, &[("tenant", tenant), ("kind", "red"), ("name", label)]));
            assert_eq!(values[0], values[1], "{name} of {tenant}");
            values[0]
        })
    };
    assert_eq!(values("test_tenant_total"), [None, None, Some(100.0), Some(11.0)]);
    assert_eq!(values("test_summary_total"), [None, Some(10.0), Some(100.0), Some(1.0)]);
    assert_eq!(values("test_tenant_duration_seconds_count"), [None, None, Some(100.0), Some(11.0)]);
    assert_eq!(values("test_tenant_duration_seconds_sum"), [None, None, Some(50.0), Some(5.5)]);
    // A gauge that is shared would show whoever came last.
    assert_eq!(values("test_tenant_gauge"), [None, None, Some(100.0), None]);
    assert_eq!(samples.sum("monitoring_series_overflow_total", &[]), 0.0);
}

#[test]
fn a_tenant_whose_tier_changes_keeps_its_total() {
    let monitoring = with_budget(CardinalityBudget::default().detail(Tier::Free, Detail::Aggregate));
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    for (tier, amount) in [(Tier::Free, 1), (Tier::Enterprise, 10), (Tier::Free, 100), (Tier::Enterprise, 1_000)] {
        let acme = monitoring.tenants().register("acme".parse().unwrap(), tier).unwrap();
        counter.add(acme, labels, amount);
    }
    let samples = samples(&monitoring);
    let sum = |tenant| samples.sum("test_tenant_total", &[("tenant", tenant)]);
    assert_eq!((sum("acme"), sum("__other__")), (1_010.0, 101.0));
}

/// The tenants of each tier, with the series that each has.
type Tenants = [Vec<usize>; 3];

fn occupancy(tenants: &Tenants, row: usize) -> Occupancy {
    let by_tier = tenants.each_ref().map(|series| series.iter().sum());
    Occupancy { by_tier, row }
}

proptest! {
    #[test]
    fn no_tier_gets_less_than_its_reservation_and_all_together_no_more_than_the_budget_and_floors(
        per_family in 1..60_usize,
        per_tenant in 1..40_usize,
        shares in prop::array::uniform3(0..30_usize),
        tenants in prop::array::uniform3(1..5_usize),
        // Who wants another series, or (more seldom) gives one back.
        requests in prop::collection::vec((0..3_usize, 0..5_usize, prop::bool::weighted(0.8)), 1..400),
    ) {
        let mut left = per_family;
        let reserved = shares.map(|share| {
            let reserved = share.min(left);
            left -= reserved;
            reserved
        });
        let mut limits = CardinalityBudget::default().per_family(per_family).per_tenant(per_tenant);
        for (tier, series) in TIERS.into_iter().zip(reserved) {
            limits = limits.reserve(tier, series);
        }
        let all: usize = tenants.iter().sum();
        let budget = Budget::new(limits, all);
        let floor = (per_family / 2 / all).max(1).min(per_tenant);
        let mut tenants: Tenants = tenants.map(|number| vec![0; number]);

        for (tier, number, wants_more) in requests {
            let number = number % tenants[tier].len();
            let of_tier: usize = tenants[tier].iter().sum();
            let cells = occupancy(&tenants, tenants[tier][number]);
            let series = &mut tenants[tier][number];
            if !wants_more {
                *series -= usize::from(*series > 0);
                continue;
            }
            let is_admitted = budget.admits(tier, cells).is_ok();
            prop_assert!(!is_admitted || *series < per_tenant);
            prop_assert!(is_admitted || *series >= floor);
            prop_assert!(is_admitted || of_tier >= reserved[tier] || *series >= per_tenant, "{reserved:?} {tenants:?}");
            *series += usize::from(is_admitted);

            let together: usize = tenants.iter().flatten().sum();
            prop_assert!(together <= per_family + floor * all);
            prop_assert!(together <= budget.most(all));
            let beyond: usize = tenants.iter().flatten().map(|series| series.saturating_sub(floor)).sum();
            prop_assert!(beyond <= per_family, "{beyond} of {per_family}");
        }
    }
}
