//! Series that nobody records into: when they end, and what becomes of their room.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::budget::Bytes;
use super::super::table::{Admission, Layout, Table};
use super::super::{Counter, Family, TenantCounter, TenantGauge, TenantHistogram};
use super::*;

/// The sweeps without a change after which a series is about to end: it has one more then.
const SWEEPS: u8 = 3;

/// Sweeps until a series ends that was recorded into before them: one finds it, so many find it unchanged, one ends it.
const UNTIL_THE_END: u8 = SWEEPS + 2;

fn table() -> Table {
    Table::new(Layout::Cell { words: 2 }, 8, 100, 100, Bytes::unlimited())
}

/// Adds to a cell, made if need be.
fn add(table: &Table, row: u32, combination: u32, amount: u64) {
    let admits_all = |_| Ok(());
    let cell = table.create(row, combination, &Admission::Budget(0, &admits_all), 0).unwrap();
    cell.word(0).unwrap().fetch_add(amount, Ordering::SeqCst);
}

fn value(table: &Table, row: u32, combination: u32) -> Option<u64> {
    table.find_to_read(row, combination).map(|cell| cell.word(0).unwrap().load(Ordering::SeqCst))
}

fn sweep(table: &Table, times: u8) {
    (0..times).for_each(|_| table.sweep(SWEEPS));
}

fn sweep_family(family: &Family, times: u8) {
    (0..times).for_each(|_| family.sweep(SWEEPS));
}

#[test]
fn an_idle_series_ends_after_so_many_sweeps_and_not_before() {
    for sweeps in [1, 2, 13] {
        let table = table();
        add(&table, 3, 5, 7);
        for past in 0..sweeps + 2 {
            assert_eq!(value(&table, 3, 5), Some(7), "after {past} of {sweeps} sweeps");
            assert_eq!((table.cells(), table.occupancy(3)), (1, 1));
            table.sweep(sweeps);
        }
        assert_eq!(value(&table, 3, 5), None);
        assert_eq!((table.cells(), table.occupancy(3), table.all_cells().by_tier), (0, 0, [0; 3]));
    }
}

#[test]
fn a_record_between_two_sweeps_keeps_a_series_with_its_total() {
    // Before each sweep of a series' life.
    for before in 0..UNTIL_THE_END {
        let table = table();
        add(&table, 3, 5, 7);
        sweep(&table, before);
        add(&table, 3, 5, 100);
        sweep(&table, UNTIL_THE_END - 1);
        assert_eq!(value(&table, 3, 5), Some(107), "recorded after {before} sweeps");
        sweep(&table, 1);
        assert_eq!(value(&table, 3, 5), None, "recorded after {before} sweeps");
    }
}

#[test]
fn a_series_that_has_ended_begins_from_zero() {
    let table = table();
    for amount in [7, 9, 11] {
        add(&table, 3, 5, amount);
        assert_eq!(value(&table, 3, 5), Some(amount));
        sweep(&table, UNTIL_THE_END);
    }
}

#[test]
fn ended_pages_go_to_others_from_zero() {
    let table = table();
    (0..20).for_each(|combination| add(&table, 1, combination, 7));
    let pages = table.made().pages;
    let bytes = table.taken_bytes();
    // Not before the sweep after the one that ends them, for a record may be on its way.
    sweep(&table, UNTIL_THE_END);
    assert!(table.made().free_pages.is_empty());
    sweep(&table, 1);
    for row in 2..6 {
        (0..5).for_each(|combination| add(&table, row, combination, u64::from(row)));
    }
    for row in 2..6 {
        assert!((0..5).all(|combination| value(&table, row, combination) == Some(u64::from(row))));
    }
    assert!((0..20).all(|combination| value(&table, 1, combination).is_none()));
    assert_eq!(table.made().pages, pages);
    assert_eq!(table.cells(), 20);
    assert!(table.taken_bytes() - bytes < 4_096, "{} bytes more", table.taken_bytes() - bytes);
}

#[test]
fn a_page_of_counters_ends_when_the_last_of_them_is_idle() {
    let table = Table::new(Layout::Counters { initial: 0 }, 8, 100, 100, Bytes::unlimited());
    (0..14).for_each(|combination| add(&table, 3, combination, 1));
    for _ in 0..UNTIL_THE_END {
        add(&table, 3, 6, 1);
        table.sweep(SWEEPS);
    }
    // The first seven share a page.
    let live = |combination| value(&table, 3, combination).is_some();
    assert_eq!((0..14).filter(|combination| live(*combination)).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
    assert_eq!((value(&table, 3, 6), table.cells()), (Some(1 + u64::from(UNTIL_THE_END)), 7));
}

#[test]
fn what_is_about_to_end_is_read_and_a_record_keeps_it() {
    let monitoring = monitoring();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let (acme, labels) = (tenant(&monitoring, "acme"), labels(&monitoring, Color::Red, "a"));
    let value =
        || samples(&monitoring).value("test_tenant_total", &[("tenant", "acme"), ("kind", "red"), ("name", "a")]);
    counter.add(acme, labels, 7);
    let family = family(&monitoring, "test_tenant_total");
    sweep_family(family, UNTIL_THE_END - 1);
    assert_eq!(value(), Some(7.0));
    counter.add(acme, labels, 2);
    sweep_family(family, UNTIL_THE_END - 1);
    assert_eq!(value(), Some(9.0));
    sweep_family(family, 1);
    assert_eq!(value(), None);
    counter.add(acme, labels, 4);
    assert_eq!(value(), Some(4.0));
}

#[test]
fn gauges_reserved_tenants_and_platform_families_never_end() {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    let platform: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let gauge: TenantGauge<Labels> = registry.tenant_gauge(&TENANT_GAUGE).unwrap();
    let duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    let acme = tenant(&monitoring, "acme");
    platform.add(labels, 1);
    gauge.set(acme, labels, 2.0);
    for tenant in [acme, Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER] {
        duration.record(tenant, labels, Duration::from_millis(1));
    }
    for name in ["test_counter_total", "test_tenant_gauge", "test_tenant_duration_seconds"] {
        sweep_family(family(&monitoring, name), 4 * UNTIL_THE_END);
    }

    let samples = samples(&monitoring);
    let count = |tenant| samples.sum("test_tenant_duration_seconds_count", &[("tenant", tenant)]);
    assert_eq!((samples.sum("test_counter_total", &[]), samples.sum("test_tenant_gauge", &[])), (1.0, 2.0));
    assert_eq!(["acme", "__none__", "__unknown__", "__other__"].map(count), [0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn room_is_free_again_when_a_tenth_of_the_budget_is() {
    // A floor of one series for each tenant; beyond that, up to twenty of all.
    let monitoring = limited(20, 100, 100);
    let duration: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let family = family(&monitoring, "test_tenant_duration_seconds");
    let (noisy, quiet) = (tenant(&monitoring, "noisy"), tenant(&monitoring, "quiet"));
    let record = |tenant, number: u32| {
        duration.record(tenant, labels(&monitoring, Color::Red, &number.to_string()), Duration::from_millis(1));
    };
    let series = |tenant| {
        let row = family.named_row(tenant).unwrap();
        family.table.occupancy(row)
    };
    // All series are idle from now on but those of the noisy tenant from that number on.
    let end_those_before = |busy: u32| {
        for _ in 0..UNTIL_THE_END {
            (busy..20).for_each(|number| record(noisy, number));
            record(quiet, 0);
            family.sweep(SWEEPS);
        }
    };

    (0..20).for_each(|number| record(noisy, number));
    (0..3).for_each(|number| record(quiet, number));
    assert_eq!((series(noisy), series(quiet)), (20, 1));
    // 19 of 20 left: what was refused stays refused.
    end_those_before(2);
    assert_eq!(series(noisy), 18);
    record(quiet, 1);
    assert_eq!(series(quiet), 1);
    // 18 left: open again, to the last one.
    end_those_before(3);
    assert_eq!((series(noisy), series(quiet)), (17, 1));
    (0..10).for_each(|number| record(quiet, number));
    assert_eq!((series(noisy), series(quiet)), (17, 3));
    assert_eq!(family.table.all_cells().by_tier, [0, 20, 0]);
}

#[test]
fn a_small_budget_opens_again_when_one_series_has_ended() {
    let monitoring = limited(5, 100, 100);
    let duration: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let family = family(&monitoring, "test_tenant_duration_seconds");
    let acme = tenant(&monitoring, "acme");
    let record = |number: u32| {
        duration.record(acme, labels(&monitoring, Color::Red, &number.to_string()), Duration::from_millis(1));
    };
    (0..6).for_each(record);
    for _ in 0..UNTIL_THE_END {
        (1..5).for_each(record);
        family.sweep(SWEEPS);
    }
    record(9);
    let samples = samples(&monitoring);
    let count = |name| {
        let labels = [("tenant", "acme"), ("kind", "red"), ("name", name)];
        samples.value("test_tenant_duration_seconds_count", &labels)
    };
    assert_eq!((count("0"), count("5"), count("9")), (None, None, Some(1.0)));
}

#[test]
fn a_tenant_that_changes_its_tier_gives_back_what_it_had() {
    let monitoring = monitoring();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let family = family(&monitoring, "test_tenant_total");
    // Two series in one page, made under two tiers.
    for (tier, name) in [(Tier::Free, "a"), (Tier::Enterprise, "b")] {
        let acme = monitoring.tenants().register("acme".parse().unwrap(), tier).unwrap();
        counter.add(acme, labels(&monitoring, Color::Red, name), 1);
    }
    assert_eq!(family.table.all_cells().table(), 2);
    sweep_family(family, UNTIL_THE_END);
    assert_eq!((family.table.all_cells().by_tier, samples(&monitoring).sum("test_tenant_total", &[])), ([0; 3], 0.0));
}
