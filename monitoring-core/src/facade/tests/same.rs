//! Both show the same.

use proptest::prelude::*;

use super::*;
use crate::Tenant;
use crate::facade::{Birth, Meter, Meters, Sort};

/// A few values in every family, with and without labels.
fn record_all(side: &Side) {
    let acme = side.monitoring.tenants().lookup("acme");
    for (route, cached, amount) in [("/a", None, 1), ("/a", Some(Cached::Yes), 20), ("", Some(Cached::No), 300)] {
        let labels = side.labels(route, cached);
        let time = Duration::from_millis(amount * 10);
        side.counter.add(labels, amount);
        side.bytes.add(labels, amount);
        side.time.add(labels, time);
        side.level.add(labels, 5);
        drop(side.level.in_flight(labels));
        side.level.add(labels, -(amount as i64));
        side.gauge.set(labels, -0.5 * amount as f64);
        for time in [time, time + time, Duration::from_millis(100)] {
            side.duration.record(labels, time);
        }
        side.size.record(labels, amount);
        for tenant in [acme, Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER] {
            side.tenant_counter.add(tenant, labels, amount);
            side.tenant_time.add(tenant, labels, time);
            side.tenant_gauge.set(tenant, labels, amount as f64);
            side.tenant_duration.record(tenant, labels, time);
        }
    }
    side.counter.raise_to(side.labels("/raised", None), 7);
    side.counter.raise_to(side.labels("/raised", None), 3);
    side.time.raise_to(side.labels("/raised", None), Duration::from_millis(1_500));
}

#[test]
fn every_kind_has_the_same_series_and_values_in_both() {
    let pair = Pair::new(CardinalityBudget::default());
    pair.both(record_all);
    assert!(pair.check() > 200);
    // What came first was described, and no handle was made twice.
    pair.both(record_all);
    pair.check();
}

#[test]
fn help_texts_are_the_same() {
    let pair = Pair::new(CardinalityBudget::default());
    pair.both(record_all);
    let [ours, theirs] = pair.texts().map(|text| {
        let mut helps: Vec<_> = text.lines().filter(|line| line.starts_with("# HELP ")).map(str::to_owned).collect();
        helps.sort();
        helps
    });
    assert_eq!(ours, theirs);
    assert!(ours.contains(&"# HELP test_counter_total Things.".to_owned()), "{ours:?}");
}

#[test]
fn types_are_the_same_but_that_of_a_counter_of_seconds() {
    let pair = Pair::new(CardinalityBudget::default());
    pair.both(record_all);
    let [ours, theirs] = pair.texts().map(|text| {
        let mut types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).map(str::to_owned).collect();
        types.sort();
        types
    });
    let differ: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert_eq!(differ, ["# TYPE test_tenant_time_seconds_total counter", "# TYPE test_time_seconds_total counter"]);
    for line in differ {
        assert!(theirs.contains(&line.replace(" counter", " gauge")), "{theirs:?}");
    }
}

#[test]
fn an_exporter_that_adds_units_and_suffixes_leaves_the_names_as_they_are() {
    let plain = Pair::new(CardinalityBudget::default());
    let recommended = Pair::with(CardinalityBudget::default(), exporter().with_recommended_naming(true));
    for pair in [&plain, &recommended] {
        pair.both(record_all);
        pair.check();
    }
}

#[test]
fn every_name_of_the_catalogue_stays_as_it_is_in_either_way_of_naming() {
    for is_recommended in [false, true] {
        let recorder = exporter().with_recommended_naming(is_recommended).build_recorder();
        let endpoint = recorder.handle();
        let outside = crate::facade::OutsideRecorder::Given(Arc::new(recorder));
        for descriptor in catalogue::ALL {
            let name = descriptor.prometheus_name();
            let sort = match (descriptor.kind(), descriptor.unit()) {
                (Kind::Histogram, _) => Sort::Histogram,
                (Kind::Counter, Unit::Count(_) | Unit::Bytes) => Sort::Counter,
                _ => Sort::Gauge,
            };
            let meters = Meters::new(outside.clone(), &name, sort, descriptor.unit(), descriptor.help());
            let birth = || Some(Birth { labels: Vec::new(), missed: 0.0 });
            meters.with(0, false, birth, |meter| match meter {
                Some(Meter::Counter(counter)) => counter.increment(1),
                Some(Meter::Gauge(gauge)) => gauge.set(1.0),
                Some(Meter::Histogram(histogram)) => histogram.record(1.0),
                None => panic!("{name} has no handle"),
            });
        }
        let samples: Samples = endpoint.render().parse().unwrap();
        for descriptor in catalogue::ALL {
            let suffix = if is_histogram(descriptor) { "_count" } else { "" };
            let name = descriptor.prometheus_name() + suffix;
            assert_eq!(samples.value(&name, &[]), Some(1.0), "{name}");
        }
    }
}

#[test]
fn illegal_values_reach_neither_and_are_counted_in_both() {
    let pair = Pair::new(CardinalityBudget::default());
    pair.both(|side| {
        let labels = side.labels("/a", None);
        side.counter.add(labels, u64::MAX);
        side.counter.add(labels, 1);
        side.gauge.set(labels, 0.5);
        side.gauge.set(labels, f64::NAN);
        side.gauge.set(labels, f64::INFINITY);
        side.tenant_duration.record(Tenant::NONE, labels, Duration::MAX);
    });
    pair.check();
    let [_, theirs] = pair.samples();
    let rejected = |reason| theirs.value("monitoring_rejected_samples_total", &[("reason", reason)]);
    assert_eq!((rejected("not_finite"), rejected("overflow")), (Some(2.0), Some(2.0)));
}

#[test]
fn a_gauge_that_is_cleared_is_not_a_number_until_it_is_set_again() {
    let pair = Pair::new(CardinalityBudget::default());
    let labels = pair.outbound.labels("/a", None);
    let value = || {
        pair.outbound.monitoring.collect();
        pair.endpoint.render().parse::<Samples>().unwrap().value("test_gauge_ratio", &[("route", "/a")])
    };
    // What was never set is not known there.
    pair.outbound.gauge.clear(labels);
    assert_eq!(value(), None);
    pair.outbound.gauge.set(labels, 2.0);
    assert_eq!(value(), Some(2.0));
    pair.outbound.gauge.clear(labels);
    assert!(value().unwrap().is_nan());
    pair.outbound.gauge.set(labels, 3.0);
    assert_eq!(value(), Some(3.0));
}

#[test]
fn our_own_exposition_is_empty_and_a_tenants_own_view_is_not() {
    let pair = Pair::new(CardinalityBudget::default());
    pair.both(record_all);
    let outbound = &pair.outbound.monitoring;
    assert_eq!(outbound.render(), "");
    let view = |monitoring: &Monitoring| -> Vec<u8> {
        let acme = monitoring.tenants().lookup("acme");
        monitoring.exposition_of(acme, crate::Format::Text).flat_map(|chunk| chunk.to_vec()).collect()
    };
    let shown = view(outbound);
    assert!(!shown.is_empty());
    assert_eq!(shown, view(&pair.ours.monitoring));
}

/// What a test does to both.
#[derive(Clone, Debug)]
enum Act {
    Count(u8, u64),
    CountFor(u8, u8, u64),
    Move(u8, i32),
    Set(u8, f64),
    SetFor(u8, u8, f64),
    Take(u8, u32),
    TakeFor(u8, u8, u32),
    Beat,
}

fn act() -> impl Strategy<Value = Act> {
    let route = || 0..6_u8;
    let tenant = || 0..5_u8;
    prop_oneof![
        (route(), 0..1_u64 << 40).prop_map(|(route, amount)| Act::Count(route, amount)),
        (tenant(), route(), 0..1_u64 << 40).prop_map(|(tenant, route, amount)| Act::CountFor(tenant, route, amount)),
        (route(), any::<i32>()).prop_map(|(route, amount)| Act::Move(route, amount)),
        (route(), -1e9..1e9).prop_map(|(route, value)| Act::Set(route, value)),
        (tenant(), route(), -1e9..1e9).prop_map(|(tenant, route, value)| Act::SetFor(tenant, route, value)),
        (route(), any::<u32>()).prop_map(|(route, micros)| Act::Take(route, micros)),
        (tenant(), route(), any::<u32>()).prop_map(|(tenant, route, micros)| Act::TakeFor(tenant, route, micros)),
        Just(Act::Beat),
    ]
}

fn perform(side: &Side, act: &Act) {
    let labels = |route: &u8| side.labels(&format!("/{route}"), None);
    let tenant = |tenant: &u8| match tenant {
        0 => Tenant::NONE,
        1 => side.monitoring.tenants().lookup("nobody"),
        2 => side.monitoring.tenants().lookup("acme"),
        3 => side.monitoring.tenants().lookup("zeta"),
        _ => side.monitoring.tenants().lookup("omega"),
    };
    match act {
        Act::Count(route, amount) => side.counter.add(labels(route), *amount),
        Act::CountFor(of, route, amount) => side.tenant_counter.add(tenant(of), labels(route), *amount),
        Act::Move(route, amount) => side.level.add(labels(route), i64::from(*amount)),
        Act::Set(route, value) => side.gauge.set(labels(route), *value),
        Act::SetFor(of, route, value) => side.tenant_gauge.set(tenant(of), labels(route), *value),
        Act::Take(route, micros) => side.duration.record(labels(route), Duration::from_micros((*micros).into())),
        Act::TakeFor(of, route, micros) => {
            side.tenant_duration.record(tenant(of), labels(route), Duration::from_micros((*micros).into()));
        }
        Act::Beat => side.monitoring.registry().beat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_recorded_under_a_small_budget_both_show_the_same(acts in prop::collection::vec(act(), 1..120)) {
        let budget = CardinalityBudget::default().per_family(4).per_tenant(2).combinations(4);
        let pair = Pair::new(budget);
        for act in &acts {
            pair.both(|side| perform(side, act));
        }
        pair.check();
    }
}
