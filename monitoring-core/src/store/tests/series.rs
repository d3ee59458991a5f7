//! Each kind of family: what is recorded is what is read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::super::family::Shared;
use super::super::{
    Combination, Counter, Family, Gauge, Histogram, Reading, Scale, Series, StatusCode, Symbol, TenantCounter,
    TenantGauge, TenantHistogram, UpDownCounter, View,
};
use super::*;
use crate::tenant::TenantRegistry;

const LABELLED: Descriptor =
    Descriptor::counter("test.labelled", THINGS, "").labels(&["cached", "status", "maybe", "type", "color"]);

#[derive(Clone, Copy, LabelSet)]
struct AllLabels {
    cached: bool,
    status: StatusCode,
    maybe: Option<bool>,
    r#type: Symbol,
    color: Option<Color>,
}

#[test]
fn a_counter_adds_up_by_labels() {
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    counter.add(labels(&monitoring, Color::Red, "a"), 2);
    counter.add(labels(&monitoring, Color::Red, "b"), 3);
    counter.add(labels(&monitoring, Color::Red, "a"), 5);
    counter.add(labels(&monitoring, Color::Blue, "a"), 0);

    let samples = samples(&monitoring);
    assert_eq!(samples.value("test_counter_total", &[("kind", "red"), ("name", "a")]), Some(7.0));
    assert_eq!(samples.value("test_counter_total", &[("kind", "red"), ("name", "b")]), Some(3.0));
    assert_eq!(samples.value("test_counter_total", &[("kind", "deep blue"), ("name", "a")]), Some(0.0));
    assert_eq!(samples.iter().filter(|(series, _)| series.name == "test_counter_total").count(), 3);
}

#[test]
fn a_tenant_counter_keeps_tenants_apart_and_names_only_known_ones() {
    let monitoring = monitoring();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    let stranger = super::monitoring().tenants().admit("stranger");
    counter.add(tenant(&monitoring, "acme"), labels, 1);
    counter.add(tenant(&monitoring, "umbrella"), labels, 2);
    counter.add(Tenant::NONE, labels, 3);
    counter.add(Tenant::UNKNOWN, labels, 4);
    counter.add(Tenant::OTHER, labels, 5);
    counter.add(stranger, labels, 10);

    let samples = samples(&monitoring);
    let value = |tenant| {
        let labels = [("tenant", tenant), ("kind", "red"), ("name", "a")];
        samples.value("test_tenant_total", &labels)
    };
    assert_eq!(value("acme"), Some(1.0));
    assert_eq!(value("umbrella"), Some(2.0));
    assert_eq!(value("__none__"), Some(3.0));
    assert_eq!(value("__unknown__"), Some(14.0));
    assert_eq!(value("__other__"), Some(5.0));
}

#[test]
fn label_values_of_every_type_have_their_text_and_absent_ones_leave_no_label() {
    let monitoring = monitoring();
    let counter: Counter<AllLabels> = monitoring.registry().counter(&LABELLED).unwrap();
    let full = AllLabels {
        cached: true,
        status: StatusCode::new(404),
        maybe: Some(false),
        r#type: monitoring.registry().symbol("x"),
        color: Some(Color::Blue),
    };
    let sparse =
        AllLabels { cached: false, status: StatusCode::ABSENT, maybe: None, r#type: Symbol::ABSENT, color: None };
    counter.add(full, 1);
    counter.add(sparse, 2);
    counter.add(AllLabels { status: StatusCode::new(99), ..sparse }, 2);
    counter.add(AllLabels { status: StatusCode::new(1000), ..sparse }, 2);
    counter.add(AllLabels { maybe: Some(true), r#type: Symbol::OTHER, ..sparse }, 3);

    let samples = samples(&monitoring);
    let value = |labels: &[(&str, &str)]| samples.value("test_labelled_total", labels);
    let expected = [("cached", "true"), ("status", "404"), ("maybe", "false"), ("type", "x"), ("color", "deep blue")];
    assert_eq!(value(&expected), Some(1.0));
    assert_eq!(value(&[("cached", "false")]), Some(6.0));
    assert_eq!(value(&[("cached", "false"), ("maybe", "true"), ("type", "__other__")]), Some(3.0));
}

#[test]
fn values_that_differ_but_read_the_same_are_one_series() {
    let monitoring = monitoring();
    let counter: Counter<AllLabels> = monitoring.registry().counter(&LABELLED).unwrap();
    let none = AllLabels { cached: true, status: StatusCode::ABSENT, maybe: None, r#type: Symbol::ABSENT, color: None };
    counter.add(none, 1);
    counter.add(AllLabels { color: Some(Color::None), ..none }, 2);
    counter.add(AllLabels { color: Some(Color::None), ..none }, 4);
    counter.add(none, 8);

    // The reader refuses a series that appears twice.
    assert_eq!(samples(&monitoring).value("test_labelled_total", &[("cached", "true")]), Some(15.0));
}

#[test]
fn a_value_outside_of_its_bits_harms_nothing_but_itself() {
    #[derive(Clone, Copy)]
    struct Liar(u64);
    impl LabelSet for Liar {
        const NAMES: &'static [&'static str] = &["kind", "name"];
        fn key(self) -> u64 {
            self.0
        }
        fn visit(self, _: &super::super::Symbols, visitor: &mut dyn FnMut(&'static str, &str)) {
            visitor("kind", &self.0.to_string());
            visitor("name", "");
        }
    }
    let monitoring = monitoring();
    let counter: Counter<Liar> = monitoring.registry().counter(&COUNTER).unwrap();
    for _ in 0..3 {
        counter.add(Liar(u64::MAX), 1);
    }
    assert_eq!(samples(&monitoring).sum("test_counter_total", &[]), 3.0);
}

#[test]
fn durations_are_exact_to_the_nanosecond_and_stay_at_the_highest_number() {
    let monitoring = monitoring();
    let counter: Counter<Labels, Duration> = monitoring.registry().counter(&TIME).unwrap();
    let (exact, huge) = (labels(&monitoring, Color::Red, "exact"), labels(&monitoring, Color::Red, "huge"));
    counter.add(exact, Duration::from_nanos(1));
    counter.add(exact, Duration::new(3, 20));
    counter.add(huge, Duration::MAX);
    counter.add(huge, Duration::MAX);
    counter.add(huge, Duration::from_secs(1));

    let text = monitoring.render();
    assert!(text.contains("test_time_seconds_total{kind=\"red\",name=\"exact\"} 3.000000021\n"), "{text}");
    assert!(text.contains("test_time_seconds_total{kind=\"red\",name=\"huge\"} 18446744073.709551615\n"), "{text}");
}

#[test]
fn a_counter_that_is_full_does_not_begin_again() {
    let monitoring = monitoring();
    let counter: Counter<()> = monitoring.registry().counter(&PLAIN).unwrap();
    for amount in [u64::MAX, 1, u64::MAX, 7] {
        counter.add((), amount);
        let text = monitoring.render();
        assert!(text.contains("test_plain_total 18446744073709551615\n"), "{text}");
    }
}

#[test]
fn a_total_that_is_raised_by_several_threads_is_not_multiplied() {
    let monitoring = monitoring();
    let counter: Counter<()> = monitoring.registry().counter(&PLAIN).unwrap();
    for total in [5, 9, 7] {
        let counter = counter.clone();
        std::thread::spawn(move || counter.raise_to((), total)).join().unwrap();
    }
    assert_eq!(samples(&monitoring).value("test_plain_total", &[]), Some(9.0));
}

#[test]
fn a_value_on_a_bound_is_in_its_bucket_and_an_endless_one_in_the_last() {
    let monitoring = monitoring();
    let histogram: Histogram<Labels> = monitoring.registry().histogram(&DURATION).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    let values = [
        Duration::ZERO,
        Duration::from_millis(10),
        Duration::from_nanos(10_000_001),
        Duration::from_millis(100),
        Duration::from_secs(1),
        Duration::from_nanos(1_000_000_001),
        Duration::from_secs(1 << 33),
        Duration::MAX,
    ];
    for value in values {
        histogram.record(labels, value);
    }

    let samples = samples(&monitoring);
    let bucket = |bound| {
        let labels = [("kind", "red"), ("name", "a"), ("le", bound)];
        samples.value("test_duration_seconds_bucket", &labels)
    };
    assert_eq!(["0.01", "0.1", "1", "+Inf"].map(bucket), [Some(2.0), Some(4.0), Some(5.0), Some(7.0)]);
    assert_eq!(samples.sum("test_duration_seconds_count", &[]), 7.0);
    let counted: Duration = values.iter().filter(|value| **value != Duration::MAX).sum();
    assert_eq!(samples.sum("test_duration_seconds_sum", &[]), counted.as_secs_f64());
    assert_eq!(samples.value("monitoring_rejected_samples_total", &[("reason", "overflow")]), Some(1.0));
}

#[test]
fn a_bound_between_whole_numbers_counts_what_is_below_it() {
    const SIZES: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[0.0, 0.5, 2.5, 4.0], "Sizes.");
    let monitoring = monitoring();
    let histogram: Histogram<(), u64> = monitoring.registry().histogram(&SIZES).unwrap();
    for size in 0..=5 {
        histogram.record((), size);
    }
    let samples = samples(&monitoring);
    let bucket = |bound| samples.value("test_size_bytes_bucket", &[("le", bound)]).unwrap();
    assert_eq!(["0", "0.5", "2.5", "4", "+Inf"].map(bucket), [1.0, 1.0, 3.0, 5.0, 6.0]);
    assert_eq!(samples.value("test_size_bytes_sum", &[]), Some(15.0));
}

#[test]
fn a_tenant_histogram_keeps_tenants_apart() {
    let monitoring = monitoring();
    let histogram: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let labels = labels(&monitoring, Color::None, "a");
    histogram.record(tenant(&monitoring, "acme"), labels, Duration::from_millis(5));
    histogram.record(Tenant::NONE, labels, Duration::from_millis(50));

    let samples = samples(&monitoring);
    let within = |tenant| samples.sum("test_tenant_duration_seconds_bucket", &[("tenant", tenant), ("le", "0.01")]);
    assert_eq!((within("acme"), within("__none__")), (1.0, 0.0));
    assert_eq!(samples.sum("test_tenant_duration_seconds_sum", &[("tenant", "__none__")]), 0.05);
}

#[test]
fn an_up_down_counter_may_be_negative_and_a_guard_takes_back_what_it_gave() {
    let monitoring = monitoring();
    let level: UpDownCounter<Labels> = monitoring.registry().up_down_counter(&LEVEL).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    let value = || samples(&monitoring).sum("test_level", &[]);

    let guards: Vec<_> = (0..3).map(|_| level.in_flight(labels)).collect();
    assert_eq!(value(), 3.0);
    // Guards end on whatever thread their work ends.
    std::thread::spawn(move || drop(guards)).join().unwrap();
    assert_eq!(value(), 0.0);

    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _guard = level.in_flight(labels);
        assert_eq!(value(), 1.0);
        panic!("while in flight");
    }));
    assert!(unwound.is_err());
    assert_eq!(value(), 0.0);

    level.add(labels, -7);
    assert_eq!(value(), -7.0);
}

#[test]
fn a_gauge_takes_finite_values_only_and_counts_the_others() {
    let monitoring = monitoring();
    let gauge: Gauge<Labels> = monitoring.registry().gauge(&GAUGE).unwrap();
    let tenant_gauge: TenantGauge<Labels> = monitoring.registry().tenant_gauge(&TENANT_GAUGE).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    for value in [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        gauge.set(labels, value);
        tenant_gauge.set(Tenant::NONE, labels, value);
    }

    let samples = samples(&monitoring);
    assert_eq!(samples.sum("test_gauge", &[]), 1.5);
    assert_eq!(samples.sum("test_tenant_gauge", &[("tenant", "__none__")]), 1.5);
    assert_eq!(samples.value("monitoring_rejected_samples_total", &[("reason", "not_finite")]), Some(6.0));
}

#[test]
fn a_gauge_that_is_cleared_is_gone_until_it_is_set_again() {
    let monitoring = monitoring();
    let gauge: Gauge<Labels> = monitoring.registry().gauge(&GAUGE).unwrap();
    let (a, b) = (labels(&monitoring, Color::Red, "a"), labels(&monitoring, Color::Red, "b"));
    let value = |name| samples(&monitoring).value("test_gauge", &[("kind", "red"), ("name", name)]);

    gauge.clear(a);
    assert_eq!(value("a"), None);
    gauge.set(a, -0.25);
    gauge.set(b, f64::MIN_POSITIVE);
    assert_eq!((value("a"), value("b")), (Some(-0.25), Some(f64::MIN_POSITIVE)));
    gauge.clear(a);
    assert_eq!((value("a"), value("b")), (None, Some(f64::MIN_POSITIVE)));
    gauge.set(a, f64::MAX);
    assert_eq!(value("a"), Some(f64::MAX));
}

#[test]
fn a_gauge_of_a_tenant_is_cleared_without_touching_others() {
    let monitoring = monitoring();
    let gauge: TenantGauge<Labels> = monitoring.registry().tenant_gauge(&TENANT_GAUGE).unwrap();
    let (acme, umbrella) = (tenant(&monitoring, "acme"), tenant(&monitoring, "umbrella"));
    let labels = labels(&monitoring, Color::Red, "a");
    gauge.set(acme, labels, 1.0);
    gauge.set(umbrella, labels, 2.0);
    gauge.clear(acme, labels);
    let samples = samples(&monitoring);
    assert_eq!(samples.sum("test_tenant_gauge", &[]), 2.0);
    assert_eq!(samples.sum("test_tenant_gauge", &[("tenant", "umbrella")]), 2.0);
}

#[test]
fn symbols_are_the_same_for_the_same_text_and_other_for_what_is_too_long() {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    assert_eq!(registry.symbol("/a"), registry.symbol("/a"));
    assert_ne!(registry.symbol("/a"), registry.symbol("/b"));
    assert_eq!(registry.symbol(""), Symbol::ABSENT);
    assert_eq!(registry.symbol("__other__"), Symbol::OTHER);
    assert_ne!(registry.symbol(&"x".repeat(256)), Symbol::OTHER);
    assert_eq!(registry.symbol(&"x".repeat(257)), Symbol::OTHER);
    assert_eq!(registry.symbol(&"x".repeat(1 << 20)), Symbol::OTHER);
}

#[test]
fn after_the_last_symbol_new_texts_are_other_and_known_ones_themselves() {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    let known = registry.symbol("known");
    for number in 0..70_000 {
        registry.symbol(&number.to_string());
    }
    assert_eq!(registry.symbol("new"), Symbol::OTHER);
    assert_eq!(registry.symbol("known"), known);
    assert_ne!(registry.symbol("65000"), Symbol::OTHER);
    assert_eq!(registry.symbol("69999"), Symbol::OTHER);

    let counter: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    counter.add(labels(&monitoring, Color::Red, "new"), 1);
    counter.add(labels(&monitoring, Color::Red, "newer"), 1);
    let samples = samples(&monitoring);
    assert_eq!(samples.value("test_counter_total", &[("kind", "red"), ("name", "__other__")]), Some(2.0));
}

#[test]
fn a_family_that_recorded_nothing_prints_nothing() {
    let monitoring = monitoring();
    let _counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let gauge: Gauge<Labels> = monitoring.registry().gauge(&GAUGE).unwrap();
    gauge.clear(labels(&monitoring, Color::Red, "a"));
    let text = monitoring.render();
    assert!(!text.contains("test_counter_total{") && !text.contains("# TYPE test_"), "{text}");
}

fn shared() -> Shared {
    Shared::new(CardinalityBudget::default())
}

#[test]
fn a_gauge_that_has_its_cell_but_no_value_yet_is_not_shown() {
    let gauge = Family::of_platform("gauge".to_owned(), None, Reading::Gauge, 10, 1, &shared());
    let counter = Family::of_platform("counter".to_owned(), None, Reading::Counter(Scale::One), 10, 1, &shared());
    for (family, is_shown) in [(gauge, false), (counter, true)] {
        let combination = family.combination(1, || Some(Combination::from_pairs([("a", "b")])));
        family.own_cell(Tenant::NONE, combination).unwrap();
        assert_eq!(family.read(View::Whole, &mut Series::default()), is_shown);
    }
}

#[test]
fn a_series_whose_labels_another_thread_is_still_making_waits_for_the_next_scrape() {
    let tenants = TenantRegistry::new(10, true);
    let counter = Reading::Counter(Scale::One);
    let family = Family::of_tenants(
        "counter".to_owned(),
        &TENANT_COUNTER,
        counter,
        &tenants,
        CardinalityBudget::default(),
        &shared(),
    );
    // The key of a combination is known before its text is: another thread can find it and count in between.
    family.add(tenants.admit("acme"), 1, 7);
    assert!(!family.read(View::Whole, &mut Series::default()));

    let combination = family.combination(1, || Some(Combination::from_pairs([("a", "b")])));
    assert_eq!(combination, 1);
    let mut series = Series::default();
    assert!(family.read(View::Whole, &mut series));
    assert_eq!(series.words, [7]);
}
