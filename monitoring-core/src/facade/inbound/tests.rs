//! What is recorded through the facade is in the store.

use metrics::{Label, Level, with_local_recorder};
use monitoring_tests::exposition::Samples;
use proptest::prelude::*;

use super::*;
use crate::{Monitoring, Tier};

/// A monitoring, and the recorder that `install` would give to the facade.
fn facade() -> (Monitoring, FacadeRecorder) {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let recorder = FacadeRecorder::new(monitoring.registry().clone());
    (monitoring, recorder)
}

fn samples(monitoring: &Monitoring) -> Samples {
    let text = monitoring.render();
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn rejected(samples: &Samples, reason: &str) -> f64 {
    samples.value("monitoring_rejected_samples_total", &[("reason", reason)]).unwrap()
}

#[test]
fn a_counter_counts_and_is_raised() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::counter!("jobs_total", "queue" => "mail").increment(2);
        metrics::counter!("jobs_total", "queue" => "mail").increment(3);
        metrics::counter!("jobs_total", "queue" => "push").absolute(7);
        metrics::counter!("jobs_total", "queue" => "push").absolute(4);
        metrics::counter!("jobs_total").increment(u64::MAX);
        metrics::counter!("jobs_total").increment(1);
    });
    let samples = samples(&monitoring);
    assert_eq!(samples.value("jobs_total", &[("queue", "mail")]), Some(5.0));
    assert_eq!(samples.value("jobs_total", &[("queue", "push")]), Some(7.0));
    assert_eq!(samples.value("jobs_total", &[]), Some(u64::MAX as f64));
    assert!(monitoring.render().contains("# TYPE jobs_total counter\n"));
}

#[test]
fn a_gauge_is_set_and_moved_and_stays_finite() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::gauge!("level").increment(2.5);
        metrics::gauge!("level").decrement(1.0);
        metrics::gauge!("set").set(1.0);
        metrics::gauge!("set").set(-4.0);
        metrics::gauge!("huge").set(f64::MAX);
        metrics::gauge!("huge").increment(f64::MAX);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            metrics::gauge!("set").set(value);
            metrics::gauge!("level").increment(value);
            metrics::gauge!("level").decrement(value);
            metrics::gauge!("never").set(value);
        }
        let _registered = metrics::gauge!("registered");
    });
    let samples = samples(&monitoring);
    assert_eq!(samples.value("level", &[]), Some(1.5));
    assert_eq!(samples.value("set", &[]), Some(-4.0));
    assert_eq!(samples.value("huge", &[]), Some(f64::MAX));
    assert_eq!((samples.value("never", &[]), samples.value("registered", &[])), (None, None));
    assert_eq!(rejected(&samples, "not_finite"), 12.0);
}

#[test]
fn a_histogram_counts_into_the_usual_buckets_and_its_sum_stays_finite() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        for value in [-1.0, 0.0, 0.005, 0.3, 100.0, f64::NAN, f64::INFINITY] {
            metrics::histogram!("duration").record(value);
        }
        metrics::histogram!("huge").record(f64::MAX);
        metrics::histogram!("huge").record(f64::MAX);
        metrics::histogram!("huge").record(f64::MIN);
    });
    let samples = samples(&monitoring);
    let bucket = |bound| samples.value("duration_bucket", &[("le", bound)]);
    assert_eq!(["0.005", "0.25", "0.5", "10", "+Inf"].map(bucket), [2.0, 2.0, 3.0, 3.0, 4.0].map(Some));
    assert_eq!(samples.value("duration_count", &[]), Some(4.0));
    assert_eq!(samples.value("duration_sum", &[]), Some(100.305));
    assert!(samples.value("huge_sum", &[]).unwrap().is_finite());
    assert_eq!((rejected(&samples, "not_finite"), rejected(&samples, "negative")), (2.0, 2.0));
}

#[test]
fn a_description_counts_whether_it_comes_before_the_first_value_or_after() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::describe_counter!("before", "Comes before.");
        metrics::counter!("before").increment(1);
        metrics::gauge!("after").set(1.0);
        metrics::describe_gauge!("after", metrics::Unit::Bytes, "Comes\nafter.");
        metrics::describe_histogram!("never", "Comes alone.");
    });
    let text = monitoring.render();
    assert!(text.contains("# HELP before Comes before.\n# TYPE before counter\nbefore 1\n"), "{text}");
    assert!(text.contains("# HELP after Comes\\nafter.\n# TYPE after gauge\nafter 1\n"), "{text}");
    assert!(!text.contains("never"));
}

#[test]
fn a_description_does_not_touch_the_metrics_of_the_catalogue() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || metrics::describe_gauge!("monitoring_series", "Mine."));
    assert!(!monitoring.render().contains("Mine."));
}

#[test]
fn names_are_made_legal() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::counter!("http.requests-total/größe").increment(1);
        metrics::counter!("7up").increment(1);
        metrics::counter!("").increment(1);
        metrics::counter!("rule:of:five").increment(1);
        let labels = [("a.b", "1"), ("9", "2"), ("", "3"), ("a:b", "4"), ("__name__", "evil"), ("ü", "5")];
        metrics::counter!("labelled", &labels).increment(1);
    });
    let samples = samples(&monitoring);
    for name in ["http_requests_total_gr__e", "_7up", "_", "rule:of:five"] {
        assert_eq!(samples.value(name, &[]), Some(1.0), "{name}");
    }
    // Two of the names became `a_b`, and two `_`; the last value of each counts.
    let expected = [("a_b", "4"), ("_9", "2"), ("_", "5"), ("_name__", "evil")];
    assert_eq!(samples.value("labelled", &expected), Some(1.0));
}

#[test]
fn labels_of_the_store_itself_are_renamed() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::histogram!("size", "le" => "5", "otel_metric_overflow" => "true").record(0.1);
    });
    let samples = samples(&monitoring);
    let labels = [("le_", "5"), ("otel_metric_overflow_", "true")];
    assert_eq!(samples.value("size_count", &labels), Some(1.0));
}

#[test]
fn the_order_of_labels_makes_no_difference() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::counter!("ordered", "a" => "1", "b" => "2").increment(1);
        metrics::counter!("ordered", "b" => "2", "a" => "1").increment(1);
        metrics::counter!("ordered", "a" => "1", "b" => "2", "c" => "").increment(1);
    });
    assert_eq!(samples(&monitoring).value("ordered", &[("a", "1"), ("b", "2")]), Some(3.0));
}

#[test]
fn only_a_registered_tenant_is_named_from_the_moment_it_is() {
    let (monitoring, recorder) = facade();
    let count = |id: &str| {
        with_local_recorder(&recorder, || metrics::counter!("logins", "tenant" => id.to_owned()).increment(1));
    };
    for id in ["acme", "evil\"} 1\nx", "", "__none__", "__other__", "__unknown__"] {
        count(id);
    }
    monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    count("acme");
    count("acme");

    let samples = samples(&monitoring);
    let value = |tenant| samples.value("logins", &[("tenant", tenant)]);
    assert_eq!(value("acme"), Some(2.0));
    assert_eq!(value("__unknown__"), Some(4.0));
    assert_eq!((value("__none__"), value("__other__")), (Some(1.0), Some(1.0)));
    assert_eq!(samples.sum("logins", &[]), 8.0);
}

#[test]
fn a_name_that_the_catalogue_or_another_kind_has_is_a_counted_no_op() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        metrics::gauge!("monitoring_series").set(-1.0);
        metrics::counter!("monitoring_series").increment(1);
        metrics::counter!("mine").increment(1);
        metrics::gauge!("mine").set(5.0);
        metrics::histogram!("mine").record(5.0);
        metrics::histogram!("duration").record(5.0);
        metrics::counter!("duration_count").increment(5);
    });
    let samples = samples(&monitoring);
    assert_eq!(samples.value("mine", &[]), Some(1.0));
    assert_eq!(samples.value("duration_count", &[]), Some(1.0));
    assert_eq!(rejected(&samples, "name_clash"), 5.0);
}

#[test]
fn names_and_label_values_without_end_are_bounded_and_counted() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        for number in 0..1_100 {
            metrics::counter!(format!("name_{number}")).increment(1);
        }
    });
    let first = samples(&monitoring);
    assert_eq!(first.iter().filter(|(series, _)| series.name.starts_with("name_")).count(), 1_000);
    assert_eq!(rejected(&first, "too_many_names"), 100.0);
}

#[test]
fn a_label_without_end_fills_its_own_family_and_no_other() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        for number in 0..120_000 {
            metrics::counter!("flooded", "path" => number.to_string()).increment(1);
        }
        metrics::counter!("flooded", "path" => "7").increment(1);
        metrics::counter!("quiet", "path" => "7").increment(1);
    });
    assert!(recorder.counters.len() < 17_000, "{} keys are remembered", recorder.counters.len());
    let samples = samples(&monitoring);
    assert_eq!(samples.sum("flooded", &[]), 120_001.0);
    assert_eq!(samples.value("flooded", &[("path", "7")]), Some(2.0));
    let overflow = 120_000.0 - 16_384.0;
    assert_eq!(samples.value("flooded", &[("otel_metric_overflow", "true")]), Some(overflow));
    assert_eq!(samples.value("monitoring_series_overflow_total", &[("family", "flooded")]), Some(overflow));
    assert_eq!(samples.value("quiet", &[("path", "7")]), Some(1.0));
}

#[test]
fn a_label_value_that_is_too_long_is_other_and_is_not_kept() {
    let (monitoring, recorder) = facade();
    with_local_recorder(&recorder, || {
        for _ in 0..3 {
            metrics::counter!("long", "path" => "x".repeat(1 << 20)).increment(1);
        }
        metrics::counter!("long", "path" => "x".repeat(256)).increment(1);
    });
    assert_eq!(recorder.counters.len(), 1);
    let samples = samples(&monitoring);
    assert_eq!(samples.value("long", &[("path", "__other__")]), Some(3.0));
    assert_eq!(samples.value("long", &[("path", &"x".repeat(256))]), Some(1.0));
}

#[test]
fn threads_that_meet_a_key_at_once_make_one_series() {
    let (monitoring, recorder) = facade();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                with_local_recorder(&recorder, || {
                    for number in 0..500 {
                        metrics::counter!("raced", "number" => number.to_string()).increment(1);
                        metrics::gauge!("raced_gauge").increment(1.0);
                    }
                });
            });
        }
    });
    let samples = samples(&monitoring);
    assert_eq!(samples.sum("raced", &[]), 4_000.0);
    assert_eq!(samples.value("raced", &[("number", "499")]), Some(8.0));
    assert_eq!(samples.value("raced_gauge", &[]), Some(4_000.0));
}

proptest! {
    #[test]
    fn whatever_is_recorded_the_exposition_is_legal(
        name in any::<String>(),
        help in "\\PC{0,20}|[\\\\\n\"\r\0 a]{0,12}",
        labels in prop::collection::vec((prop_oneof![any::<String>(), "tenant|le|_?_?[a-z]"], any::<String>()), 0..5),
    ) {
        let (monitoring, recorder) = facade();
        let labels: Vec<_> = labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
        let key = Key::from_parts(name.clone(), labels);
        let metadata = Metadata::new("test", Level::INFO, None);
        recorder.describe_counter(KeyName::from(name), None, help.clone().into());
        recorder.register_counter(&key, &metadata).increment(1);
        recorder.register_counter(&key, &metadata).increment(1);

        let text = monitoring.render();
        let samples: Samples = text.parse().unwrap();
        let own = |series: &monitoring_tests::exposition::Series| series.name.starts_with("monitoring_") || series.name == "target_info";
        let recorded: Vec<_> = samples.iter().filter(|(series, _)| !own(series)).collect();
        prop_assert_eq!(recorded.len(), 1);
        prop_assert_eq!(recorded[0].1, 2.0);
        prop_assert!(recorded[0].0.labels.keys().all(|name| !name.starts_with("__")));

        let prefix = format!("# HELP {} ", recorded[0].0.name);
        let written = text.split('\n').find_map(|line| line.strip_prefix(&prefix)).unwrap_or("");
        let read = written.replace("\\\\", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\");
        prop_assert_eq!(read, help);
    }
}
