//! Where OpenMetrics differs from the Prometheus text format.

use std::collections::BTreeSet;

use monitoring_tests::exposition::Samples;
use proptest::prelude::*;

use super::super::lines::Lines;
use super::super::open_metrics::OpenMetrics;
use super::*;
use crate::{Counter, Gauge, Histogram, Tenant, TenantHistogram, UpDownCounter};

fn text_of(monitoring: &Monitoring) -> String {
    String::from_utf8(bytes(monitoring.exposition_in(Format::OpenMetrics))).unwrap()
}

/// What is told of the families under test: the store's own come first.
fn of_tests(monitoring: &Monitoring) -> String {
    let text = text_of(monitoring);
    let start = text.find("# TYPE test_").unwrap();
    text[start..].to_owned()
}

fn lines(monitoring: &Monitoring) -> Lines {
    Lines::open_metrics(OpenMetrics::new(monitoring.registry()))
}

/// The samples without their exemplars, which the text format has not.
fn samples(text: &str) -> Samples {
    let text = text.strip_suffix("# EOF\n").expect(text);
    let lines = text.lines().map(|line| line.split_once(" # {").map_or(line, |(line, _)| line));
    lines.map(|line| format!("{line}\n")).collect::<String>().parse().unwrap()
}

/// What a reader of samples alone does not see: the heads, and that no name of a sample could be of two families.
fn check_families(text: &str) {
    let mut names = BTreeSet::new();
    let mut lines = text.strip_suffix("# EOF\n").expect(text).split_terminator('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, kind) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')).expect(line);
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" | "unknown" => &[""],
            other => panic!("{other} is no type that we write"),
        };
        for suffix in suffixes.iter().chain(&[""]).collect::<BTreeSet<_>>() {
            assert!(names.insert(format!("{name}{suffix}")), "{name}{suffix} could be of two families\n{text}");
        }
        if ["counter", "histogram"].contains(&kind) {
            assert!(names.insert(format!("{name}_created")), "{name}_created could be of two families\n{text}");
        }
        if let Some(line) = lines.next_if(|line| line.starts_with("# UNIT ")) {
            let (unit_of, unit) = line["# UNIT ".len()..].split_once(' ').unwrap();
            assert!(unit_of == name && name.ends_with(&format!("_{unit}")), "{line}");
        }
        if let Some(line) = lines.next_if(|line| line.starts_with("# HELP ")) {
            let (help_of, help) = line["# HELP ".len()..].split_once(' ').unwrap();
            let escaped = help.replace("\\\\", "").replace("\\n", "").replace("\\\"", "");
            assert!(help_of == name && !escaped.contains(['\\', '"']), "{line}");
        }
        let mut count = 0;
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let rest = sample.strip_prefix(name).expect(sample);
            assert!(suffixes.contains(&rest.split(['{', ' ']).next().unwrap()), "{sample} is below {line}");
            count += 1;
        }
        assert!(count > 0, "{name} has a head and no samples");
    }
}

#[test]
fn the_family_of_a_counter_has_no_total_and_its_samples_have() {
    const LOGINS: Descriptor = Descriptor::counter("test.logins", THINGS, "Of \"users\".\nC:\\");
    const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "");
    let monitoring = monitoring();
    let logins: Counter<()> = monitoring.registry().counter(&LOGINS).unwrap();
    let time: Counter<(), Duration> = monitoring.registry().counter(&TIME).unwrap();
    logins.add((), 7);
    time.add((), Duration::from_millis(1_500));
    assert_eq!(
        of_tests(&monitoring),
        "# TYPE test_logins counter\n\
         # HELP test_logins Of \\\"users\\\".\\nC:\\\\\n\
         test_logins_total 7\n\
         # TYPE test_time_seconds counter\n\
         # UNIT test_time_seconds seconds\n\
         test_time_seconds_total 1.5\n\
         # EOF\n"
    );
}

#[test]
fn what_goes_up_and_down_is_a_gauge_and_a_unit_is_named_where_the_name_has_it() {
    const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "A level.");
    const SHARE: Descriptor = Descriptor::gauge("test.share", Unit::Ratio, "A share.");
    const KILOBYTES: Descriptor = Descriptor::gauge("test.kilobytes", Unit::Bytes, "Ends like a unit.");
    let monitoring = monitoring();
    let level: UpDownCounter<()> = monitoring.registry().up_down_counter(&LEVEL).unwrap();
    let share: Gauge<()> = monitoring.registry().gauge(&SHARE).unwrap();
    let kilobytes: Gauge<()> = monitoring.registry().gauge(&KILOBYTES).unwrap();
    level.add((), -3);
    share.set((), 0.25);
    kilobytes.set((), 1.0);
    assert_eq!(
        of_tests(&monitoring),
        "# TYPE test_level gauge\n\
         # HELP test_level A level.\n\
         test_level -3\n\
         # TYPE test_share_ratio gauge\n\
         # UNIT test_share_ratio ratio\n\
         # HELP test_share_ratio A share.\n\
         test_share_ratio 0.25\n\
         # TYPE test_kilobytes_bytes gauge\n\
         # UNIT test_kilobytes_bytes bytes\n\
         # HELP test_kilobytes_bytes Ends like a unit.\n\
         test_kilobytes_bytes 1\n\
         # EOF\n"
    );
}

#[test]
fn the_target_is_an_info() {
    let text = text_of(&monitoring());
    assert!(
        text.contains("# TYPE target info\n# HELP target The service that this process is part of; always 1.\ntarget_info{service_name=\"test\"} 1\n"),
        "{text}"
    );
}

#[test]
fn the_bounds_of_a_histogram_are_canonical() {
    const SIZE: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[1.0, 2.5, 1e6], "").per_tenant();
    let monitoring = monitoring();
    let size: TenantHistogram<(), u64> = monitoring.registry().tenant_histogram(&SIZE).unwrap();
    size.record(Tenant::NONE, (), 2);
    assert_eq!(
        of_tests(&monitoring),
        "# TYPE test_size_bytes histogram\n\
         # UNIT test_size_bytes bytes\n\
         test_size_bytes_bucket{tenant=\"__none__\",le=\"1.0\"} 0\n\
         test_size_bytes_bucket{tenant=\"__none__\",le=\"2.5\"} 1\n\
         test_size_bytes_bucket{tenant=\"__none__\",le=\"1e+06\"} 1\n\
         test_size_bytes_bucket{tenant=\"__none__\",le=\"+Inf\"} 1\n\
         test_size_bytes_sum{tenant=\"__none__\"} 2\n\
         test_size_bytes_count{tenant=\"__none__\"} 1\n\
         # EOF\n"
    );
}

#[test]
fn a_bucket_has_its_exemplar_and_the_rest_has_none() {
    const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "");
    const SIZE: Descriptor = Descriptor::histogram("test.size", THINGS, &[1.0], "");
    const GAUGE: Descriptor = Descriptor::gauge("test.gauge", THINGS, "");
    let monitoring = monitoring();
    monitoring.registry().counter::<(), u64>(&COUNTER).unwrap().add((), 3);
    monitoring.registry().histogram::<(), u64>(&SIZE).unwrap().record((), 1);
    monitoring.registry().gauge::<()>(&GAUGE).unwrap().set((), 1.0);
    let exemplar = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7b7b7b7b7b7b7b7\"}";

    let text = written(lines(&monitoring), family(&monitoring, "test_counter_total"), |_| Some(kept(1.0)));
    assert_eq!(text, b"# TYPE test_counter counter\ntest_counter_total 3\n# EOF\n");

    let only_infinite = |bucket| (bucket == 1).then(|| kept(0.5));
    let text = written(lines(&monitoring), family(&monitoring, "test_size"), only_infinite);
    let expected = format!(
        "# TYPE test_size histogram\ntest_size_bucket{{le=\"1.0\"}} 1\n\
         test_size_bucket{{le=\"+Inf\"}} 1 {exemplar} 0.5 1700000000.25\ntest_size_sum 1\ntest_size_count 1\n# EOF\n"
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);

    let text = written(lines(&monitoring), family(&monitoring, "test_gauge"), |_| Some(kept(0.5)));
    assert_eq!(text, b"# TYPE test_gauge gauge\ntest_gauge 1\n# EOF\n");
    for name in ["test_counter_total", "test_size"] {
        let text = written(Lines::text(), family(&monitoring, name), |_| Some(kept(0.5)));
        assert!(!text.windows(5).any(|window| window == b"trace"));
    }
}

#[test]
fn an_exemplar_of_before_1970_is_of_1970() {
    const SIZE: Descriptor = Descriptor::histogram("test.size", THINGS, &[], "");
    let monitoring = monitoring();
    monitoring.registry().histogram::<(), u64>(&SIZE).unwrap().record((), 3);
    let early = KeptExemplar { time: SystemTime::UNIX_EPOCH - Duration::from_secs(1), ..kept(1.0) };
    let text = written(lines(&monitoring), family(&monitoring, "test_size"), |_| Some(early));
    assert!(String::from_utf8(text).unwrap().contains("\"} 1 0\ntest_size_sum"));
}

#[test]
fn counters_whose_names_would_clash_are_unknown_under_their_own_names() {
    const JOBS: Descriptor = Descriptor::counter("test.jobs", THINGS, "");
    const LEVEL: Descriptor = Descriptor::gauge("test.jobs", THINGS, "");
    const MADE: Descriptor = Descriptor::gauge("test.made.created", THINGS, "");
    const MADE_TOTAL: Descriptor = Descriptor::counter("test.made", THINGS, "");
    const SIZE: Descriptor = Descriptor::histogram("test.size", THINGS, &[], "");
    const SIZE_TOTAL: Descriptor = Descriptor::counter("test.size", THINGS, "");
    let monitoring = monitoring();
    for descriptor in [&JOBS, &MADE_TOTAL, &SIZE_TOTAL] {
        monitoring.registry().counter::<(), u64>(descriptor).unwrap().add((), 1);
    }
    for descriptor in [&LEVEL, &MADE] {
        monitoring.registry().gauge::<()>(descriptor).unwrap().set((), 2.0);
    }
    monitoring.registry().histogram::<(), u64>(&SIZE).unwrap().record((), 1);
    let text = of_tests(&monitoring);
    check_families(&text_of(&monitoring));
    for expected in [
        "# TYPE test_jobs_total unknown\ntest_jobs_total 1\n",
        "# TYPE test_jobs gauge\ntest_jobs 2\n",
        "# TYPE test_made_total unknown\ntest_made_total 1\n",
        "# TYPE test_made_created gauge\ntest_made_created 2\n",
        "# TYPE test_size_total unknown\ntest_size_total 1\n",
        "# TYPE test_size histogram\ntest_size_bucket{le=\"+Inf\"} 1\n",
    ] {
        assert!(text.contains(expected), "{expected}{text}");
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use metrics::with_local_recorder;

    use super::*;
    use crate::facade::FacadeRecorder;

    #[test]
    fn a_counter_of_the_facade_gets_its_total() {
        let monitoring = monitoring();
        with_local_recorder(&FacadeRecorder::new(monitoring.registry().clone()), || {
            metrics::counter!("test_jobs").increment(3);
            metrics::counter!("_total").increment(1);
            metrics::gauge!("target").set(1.0);
        });
        let text = text_of(&monitoring);
        check_families(&text);
        assert!(text.contains("# TYPE test_jobs counter\ntest_jobs_total 3\n"), "{text}");
        assert!(text.contains("# TYPE _total unknown\n_total 1\n"), "{text}");
        assert!(text.contains("# TYPE target_info unknown\n"), "{text}");
    }

    #[test]
    fn two_counters_of_one_open_metrics_name_are_unknown() {
        let monitoring = monitoring();
        with_local_recorder(&FacadeRecorder::new(monitoring.registry().clone()), || {
            metrics::counter!("test_jobs").increment(1);
            metrics::counter!("test_jobs_total").increment(2);
        });
        let text = of_tests(&monitoring);
        check_families(&text_of(&monitoring));
        assert_eq!(
            text,
            "# TYPE test_jobs unknown\ntest_jobs 1\n# TYPE test_jobs_total unknown\ntest_jobs_total 2\n# EOF\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_names_there_are_the_exposition_is_legal(
            names in prop::collection::hash_set("(a|target|_)?(_total|_created|_info|_count|_bucket|_){0,2}", 1..8),
            kinds in prop::collection::vec(0..3, 8),
        ) {
            let monitoring = monitoring();
            with_local_recorder(&FacadeRecorder::new(monitoring.registry().clone()), || {
                for (name, kind) in names.iter().zip(kinds) {
                    match kind {
                        0 => metrics::counter!(name.clone()).increment(1),
                        1 => metrics::gauge!(name.clone()).set(1.0),
                        _ => metrics::histogram!(name.clone()).record(1.0),
                    }
                }
            });
            let text = text_of(&monitoring);
            check_families(&text);
            samples(&text);
        }
    }
}

proptest! {
    #[test]
    fn any_label_value_is_read_back_as_it_was(
        texts in prop::collection::hash_set(any_text(), 1..20),
        value in any::<u32>(),
    ) {
        const COUNTER: Descriptor = Descriptor::counter("test.any", THINGS, "Any \"text\".").labels(&["color", "name"]);
        const SIZE: Descriptor = Descriptor::histogram("test.size", THINGS, &[1.0, 5.0], "").labels(&["color", "name"]);
        let monitoring = monitoring();
        let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
        let size: Histogram<Labels, u64> = monitoring.registry().histogram(&SIZE).unwrap();
        let kept: Vec<_> = texts.iter().filter(|text| text.len() <= 256 && *text != "__other__").collect();
        for text in &kept {
            counter.add(labels(&monitoring, Color::Red, text), value.into());
            size.record(labels(&monitoring, Color::Red, text), 3);
        }
        let text = text_of(&monitoring);
        check_families(&text);
        let samples = samples(&text);
        for text in &kept {
            let labels: &[_] = if text.is_empty() { &[("color", "red")] } else { &[("color", "red"), ("name", text)] };
            prop_assert_eq!(samples.value("test_any_total", labels), Some(value.into()));
            let bucket = |bound| samples.value("test_size_bucket", &[labels, &[("le", bound)]].concat());
            prop_assert_eq!(["1.0", "5.0", "+Inf"].map(bucket), [0.0, 1.0, 1.0].map(Some));
        }
    }
}
