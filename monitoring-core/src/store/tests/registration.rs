//! What cannot be registered, and how that is said.

use std::time::Duration;

use super::super::{Counter, Histogram, RegistryError, TenantCounter};
use super::*;

#[derive(Clone, Copy, LabelSet)]
struct OtherLabels {
    kind: bool,
    name: Symbol,
}

#[derive(Clone, Copy, LabelSet)]
struct OneLabel {
    name: Symbol,
}

fn message<T>(result: Result<T, RegistryError>) -> String {
    result.err().expect("the registration should have failed").to_string()
}

#[test]
fn the_same_registration_gives_the_same_family() {
    let monitoring = monitoring();
    let first: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let second: Counter<Labels> = monitoring.registry().clone().counter(&COUNTER).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    first.add(labels, 1);
    second.add(labels, 2);
    first.clone().add(labels, 4);
    assert_eq!(samples(&monitoring).sum("test_counter_total", &[]), 7.0);
}

#[test]
fn registrations_at_the_same_time_give_the_same_family() {
    let monitoring = monitoring();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
                    counter.add(labels(&monitoring, Color::Red, "a"), 1);
                }
            });
        }
    });
    assert_eq!(samples(&monitoring).sum("test_counter_total", &[]), 800.0);
    assert_eq!(monitoring.render().matches("# TYPE test_counter_total").count(), 1);
}

#[test]
fn a_clash_names_both_places_and_leaves_the_first_family_working() {
    const SECONDS: Descriptor = Descriptor::counter("test.counter.total", THINGS, "").labels(&["kind", "name"]);
    let monitoring = monitoring();
    let registry = monitoring.registry();
    let first_line = line!() + 1;
    let first: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let second_line = line!() + 1;
    let message = message(registry.counter::<OtherLabels, u64>(&SECONDS));

    for line in [first_line, second_line] {
        assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
    }
    assert!(message.contains("test_counter_total") && message.contains("rename"), "{message}");
    first.add(labels(&monitoring, Color::Red, "a"), 1);
    assert_eq!(samples(&monitoring).sum("test_counter_total", &[]), 1.0);
}

#[test]
fn a_family_differs_by_its_kind_its_tenants_its_measure_and_its_buckets() {
    const PLATFORM: Descriptor = Descriptor::counter("test.same", THINGS, "");
    const PER_TENANT: Descriptor = Descriptor::counter("test.same", THINGS, "").per_tenant();
    const GAUGE: Descriptor = Descriptor::gauge("test.same.total", THINGS, "");
    const SIZE: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[1.0], "");
    const OTHER_BUCKETS: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[2.0], "");
    const TIMES: Descriptor = Descriptor::counter("test.time.seconds", THINGS, "");
    const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "");

    let monitoring = monitoring();
    let registry = monitoring.registry();
    let is_clash = |message: String| assert!(message.contains("different metric"), "{message}");
    let _: TenantCounter<()> = registry.tenant_counter(&PER_TENANT).unwrap();
    is_clash(message(registry.counter::<(), u64>(&PLATFORM)));
    is_clash(message(registry.gauge::<()>(&GAUGE)));
    let _: Histogram<(), u64> = registry.histogram(&SIZE).unwrap();
    is_clash(message(registry.histogram::<(), u64>(&OTHER_BUCKETS)));
    let _: Counter<(), u64> = registry.counter(&TIMES).unwrap();
    is_clash(message(registry.counter::<(), Duration>(&TIME)));
    assert!(!monitoring.render().contains("# TYPE test_"));
}

#[test]
fn the_lines_of_a_histogram_are_taken_names() {
    const SIZE: Descriptor = Descriptor::histogram("test.size", THINGS, &[1.0], "");
    const COUNT: Descriptor = Descriptor::up_down_counter("test.size.count", THINGS, "");
    const OTHER: Descriptor = Descriptor::histogram("test.queue", THINGS, &[1.0], "");
    const OTHER_SUM: Descriptor = Descriptor::gauge("test.queue.sum", THINGS, "");
    const CREATED: Descriptor = Descriptor::gauge("test.size.created", THINGS, "");

    let monitoring = monitoring();
    let registry = monitoring.registry();
    let _size: Histogram<(), u64> = registry.histogram(&SIZE).unwrap();
    assert!(message(registry.up_down_counter::<()>(&COUNT)).contains("line of a histogram"));
    assert!(message(registry.gauge::<()>(&CREATED)).contains("line of a histogram"));
    let _sum = registry.gauge::<()>(&OTHER_SUM).unwrap();
    assert!(message(registry.histogram::<(), u64>(&OTHER)).contains("line of a histogram"));
}

#[test]
fn the_own_metrics_cannot_be_taken() {
    const SERIES: Descriptor = Descriptor::gauge("monitoring.series", THINGS, "");
    let monitoring = monitoring();
    assert!(message(monitoring.registry().gauge::<()>(&SERIES)).contains("monitoring_series"));
}

#[test]
fn labels_that_are_not_the_descriptors_are_an_error_that_shows_both() {
    let monitoring = monitoring();
    let message = message(monitoring.registry().counter::<OneLabel, u64>(&COUNTER));
    assert!(message.contains(r#"["kind", "name"]"#) && message.contains(r#"["name"]"#), "{message}");
}

#[test]
fn a_measure_that_does_not_fit_the_unit_is_an_error_that_names_the_right_one() {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    assert!(message(registry.counter::<Labels, u64>(&TIME)).contains("use `Duration` for seconds"));
    assert!(message(registry.counter::<Labels, Duration>(&COUNTER)).contains("`u64`"));
    assert!(message(registry.histogram::<Labels, u64>(&DURATION)).contains("`Duration`"));
}

#[test]
fn a_method_that_does_not_fit_the_descriptor_is_an_error_that_says_what_it_is() {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    assert!(message(registry.counter::<Labels, u64>(&TENANT_COUNTER)).contains("is a Counter for each tenant"));
    assert!(message(registry.tenant_counter::<Labels, u64>(&COUNTER)).contains("for the whole platform"));
    assert!(message(registry.gauge::<Labels>(&COUNTER)).contains("is a Counter"));
    assert!(message(registry.counter::<Labels, u64>(&GAUGE)).contains("is a Gauge"));
}

#[test]
fn a_label_that_the_store_writes_itself_is_refused() {
    const BUCKET: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[1.0], "").labels(&["le"]);
    #[derive(Clone, Copy)]
    struct ByHand;
    impl super::super::LabelSet for ByHand {
        const NAMES: &'static [&'static str] = &["le"];
        fn key(self) -> u64 {
            0
        }
        fn visit(self, _: &super::super::Symbols, _: &mut dyn FnMut(&'static str, &str)) {}
    }
    let message = message(monitoring().registry().histogram::<ByHand, u64>(&BUCKET));
    assert!(message.contains("`le`"), "{message}");
}

#[test]
fn buckets_that_make_no_sense_are_refused() {
    const fn buckets(bounds: &'static [f64]) -> Descriptor {
        Descriptor::histogram("test.size", Unit::Bytes, bounds, "")
    }
    const UNUSABLE: [Descriptor; 6] = [
        buckets(&[2.0, 1.0]),
        buckets(&[1.0, 1.0]),
        buckets(&[f64::NAN]),
        buckets(&[1.0, f64::NAN]),
        buckets(&[1.0, f64::INFINITY]),
        buckets(&[-1.0, 1.0]),
    ];
    let monitoring = monitoring();
    for descriptor in &UNUSABLE {
        let message = message(monitoring.registry().histogram::<(), u64>(descriptor));
        assert!(message.contains("ascending order"), "{message}");
    }
    assert!(monitoring.registry().histogram::<(), u64>(&buckets(&[])).is_ok());
}
