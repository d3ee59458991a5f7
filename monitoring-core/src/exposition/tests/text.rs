//! The Prometheus text format, and what holds for chunks of any format.

use std::collections::BTreeSet;
use std::time::Duration;

use monitoring_tests::exposition::Samples;
use proptest::prelude::*;

use super::{Color, FORMATS, Format, Labels, THINGS, any_text, labels, monitoring};
use crate::catalogue::{Descriptor, Unit};
use crate::{Counter, Gauge, Histogram, Monitoring, Tenant, TenantCounter, TenantHistogram, Tier, UpDownCounter};

/// What is told of the families under test: the store's own come first.
fn of_tests(monitoring: &Monitoring) -> String {
    let text = monitoring.render();
    let start = text.find("# HELP test_").or_else(|| text.find("# TYPE test_")).unwrap_or(text.len());
    text[start..].to_owned()
}

/// What a reader of samples alone does not see: each family's lines are together, under one head.
fn check_families(text: &str) {
    let mut seen = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").map(|rest| rest.split(' ').next().unwrap());
        let head = if help.is_some() { lines.next().unwrap() } else { line };
        let (name, kind) = head.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')).expect(head);
        assert!(help.is_none_or(|help| help == name), "{line} is followed by {head}");
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{head}");
        assert!(seen.insert(name.to_owned()), "{name} has two heads");
        let mut samples = 0;
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let line = sample.strip_prefix(name).unwrap_or_else(|| panic!("{sample} is below {head}"));
            let suffix = line.split(['{', ' ']).next().unwrap();
            let expected: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(expected.contains(&suffix), "{sample} is below {head}");
            samples += 1;
        }
        assert!(samples > 0, "{name} has a head and no samples");
    }
}

#[test]
fn a_counter_is_written_with_its_tenants_in_the_order_of_their_registration() {
    const DESCRIPTOR: Descriptor =
        Descriptor::counter("test.logins", THINGS, "Logins.").labels(&["color", "name"]).per_tenant();
    let monitoring = monitoring();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&DESCRIPTOR).unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    counter.add(acme, labels(&monitoring, Color::None, ""), 1);
    counter.add(acme, labels(&monitoring, Color::Red, "b"), u64::MAX);
    counter.add(Tenant::NONE, labels(&monitoring, Color::Red, "b"), 3);
    assert_eq!(
        of_tests(&monitoring),
        "# HELP test_logins_total Logins.\n\
         # TYPE test_logins_total counter\n\
         test_logins_total{tenant=\"__none__\",color=\"red\",name=\"b\"} 3\n\
         test_logins_total{tenant=\"acme\"} 1\n\
         test_logins_total{tenant=\"acme\",color=\"red\",name=\"b\"} 18446744073709551615\n"
    );
}

#[test]
fn an_up_down_counter_and_a_gauge_are_gauges() {
    const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "A level.");
    const RATIO: Descriptor = Descriptor::gauge("test.share", Unit::Ratio, "A share.").labels(&["color", "name"]);
    let monitoring = monitoring();
    let level: UpDownCounter<()> = monitoring.registry().up_down_counter(&LEVEL).unwrap();
    let ratio: Gauge<Labels> = monitoring.registry().gauge(&RATIO).unwrap();
    level.add((), i64::MIN);
    for (name, value) in [("a", 0.25), ("b", -0.0), ("c", 3.0), ("d", 1e21), ("e", -1.5e-7)] {
        ratio.set(labels(&monitoring, Color::None, name), value);
    }
    assert_eq!(
        of_tests(&monitoring),
        "# HELP test_level A level.\n\
         # TYPE test_level gauge\n\
         test_level -9223372036854775808\n\
         # HELP test_share_ratio A share.\n\
         # TYPE test_share_ratio gauge\n\
         test_share_ratio{name=\"a\"} 0.25\n\
         test_share_ratio{name=\"b\"} -0\n\
         test_share_ratio{name=\"c\"} 3\n\
         test_share_ratio{name=\"d\"} 1e+21\n\
         test_share_ratio{name=\"e\"} -1.5e-7\n"
    );
}

#[test]
fn a_histogram_is_written_with_ascending_buckets_sum_and_count() {
    const DESCRIPTOR: Descriptor =
        Descriptor::histogram("test.duration", Unit::Seconds, &[0.005, 0.1, 1.0, 2.5], "A duration.")
            .labels(&["color", "name"])
            .per_tenant();
    let monitoring = monitoring();
    let histogram: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&DESCRIPTOR).unwrap();
    for milliseconds in [5, 80, 1_000, 2_501] {
        let labels = labels(&monitoring, Color::Red, "");
        histogram.record(Tenant::NONE, labels, Duration::from_millis(milliseconds));
    }
    assert_eq!(
        of_tests(&monitoring),
        "# HELP test_duration_seconds A duration.\n\
         # TYPE test_duration_seconds histogram\n\
         test_duration_seconds_bucket{tenant=\"__none__\",color=\"red\",le=\"0.005\"} 1\n\
         test_duration_seconds_bucket{tenant=\"__none__\",color=\"red\",le=\"0.1\"} 2\n\
         test_duration_seconds_bucket{tenant=\"__none__\",color=\"red\",le=\"1\"} 3\n\
         test_duration_seconds_bucket{tenant=\"__none__\",color=\"red\",le=\"2.5\"} 3\n\
         test_duration_seconds_bucket{tenant=\"__none__\",color=\"red\",le=\"+Inf\"} 4\n\
         test_duration_seconds_sum{tenant=\"__none__\",color=\"red\"} 3.586\n\
         test_duration_seconds_count{tenant=\"__none__\",color=\"red\"} 4\n"
    );
}

#[test]
fn a_histogram_without_labels_or_bounds_has_one_bucket() {
    const DESCRIPTOR: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[], "A size.");
    let monitoring = monitoring();
    let histogram: Histogram<(), u64> = monitoring.registry().histogram(&DESCRIPTOR).unwrap();
    histogram.record((), 7);
    assert_eq!(
        of_tests(&monitoring),
        "# HELP test_size_bytes A size.\n\
         # TYPE test_size_bytes histogram\n\
         test_size_bytes_bucket{le=\"+Inf\"} 1\n\
         test_size_bytes_sum 7\n\
         test_size_bytes_count 1\n"
    );
}

#[test]
fn a_help_is_one_line_and_an_empty_one_none() {
    const LINES: Descriptor = Descriptor::counter("test.lines", THINGS, "One\nC:\\two \"three\"\r\u{7f}ü.");
    const BARE: Descriptor = Descriptor::counter("test.zero", THINGS, "");
    let monitoring = monitoring();
    let lines: Counter<()> = monitoring.registry().counter(&LINES).unwrap();
    let bare: Counter<()> = monitoring.registry().counter(&BARE).unwrap();
    lines.add((), 1);
    bare.add((), 0);
    assert_eq!(
        of_tests(&monitoring),
        "# HELP test_lines_total One\\nC:\\\\two \"three\"\r\u{7f}ü.\n\
         # TYPE test_lines_total counter\n\
         test_lines_total 1\n\
         # TYPE test_zero_total counter\n\
         test_zero_total 0\n"
    );
}

#[test]
fn a_label_value_is_escaped_as_the_format_wants_it() {
    const DESCRIPTOR: Descriptor = Descriptor::counter("test.escaped", THINGS, "").labels(&["color", "name"]);
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&DESCRIPTOR).unwrap();
    counter.add(labels(&monitoring, Color::None, "C:\\x\n\"quoted\"\t{ü}\0"), 1);
    assert_eq!(
        of_tests(&monitoring),
        "# TYPE test_escaped_total counter\n\
         test_escaped_total{name=\"C:\\\\x\\n\\\"quoted\\\"\t{ü}\0\"} 1\n"
    );
}

#[test]
fn every_family_is_written_in_one_piece() {
    const FIRST: Descriptor = Descriptor::counter("test.first", THINGS, "First.").labels(&["color", "name"]);
    const SECOND: Descriptor = Descriptor::counter("test.second", THINGS, "Second.").labels(&["color", "name"]);
    let monitoring = monitoring();
    let first: Counter<Labels> = monitoring.registry().counter(&FIRST).unwrap();
    let second: Counter<Labels> = monitoring.registry().counter(&SECOND).unwrap();
    for number in 0..2_000 {
        let labels = labels(&monitoring, Color::Red, &format!("a name that fills chunks {number}"));
        first.add(labels, 1);
        second.add(labels, 1);
    }
    check_families(&monitoring.render());
}

#[test]
fn chunks_together_are_the_whole_and_each_ends_with_a_line() {
    const DESCRIPTOR: Descriptor =
        Descriptor::histogram("test.size", Unit::Bytes, &[1.0, 2.0], "").labels(&["color", "name"]);
    let monitoring = monitoring();
    let histogram: Histogram<Labels, u64> = monitoring.registry().histogram(&DESCRIPTOR).unwrap();
    for number in 0..3_000 {
        histogram.record(labels(&monitoring, Color::Red, &format!("name-ü-{number}")), number);
    }
    // The first scrape makes the series that tell of the store itself.
    monitoring.render();
    let chunks: Vec<_> = monitoring.exposition().collect();

    assert_eq!(String::from_utf8(chunks.concat()).unwrap(), monitoring.render());
    assert!(chunks.len() > 10, "{} chunks", chunks.len());
    for chunk in &chunks {
        assert_eq!(chunk.last(), Some(&b'\n'));
        assert!(chunk.len() < 36 * 1024, "a chunk of {} bytes", chunk.len());
    }
    let (last, full) = chunks.split_last().unwrap();
    assert!(full.iter().all(|chunk| chunk.len() >= 32 * 1024) && !last.is_empty());
}

#[test]
fn an_exposition_goes_on_ending_and_tells_its_format() {
    let monitoring = monitoring();
    for &format in FORMATS {
        let mut exposition = monitoring.exposition_in(format);
        assert!(exposition.next().is_some());
        assert!(exposition.next().is_none());
        assert!(exposition.next().is_none());
        assert_eq!(exposition.format(), format);
    }
    assert_eq!(monitoring.exposition().format(), Format::Text);
}

#[test]
fn a_slow_reader_holds_up_nobody_and_sees_what_comes_meanwhile() {
    const DESCRIPTOR: Descriptor = Descriptor::counter("test.counter", THINGS, "").labels(&["color", "name"]);
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&DESCRIPTOR).unwrap();
    for number in 0..2_000 {
        counter.add(labels(&monitoring, Color::Red, &format!("a name that fills chunks {number}")), 1);
    }
    let mut slow = monitoring.exposition();
    let mut text = slow.next().unwrap().to_vec();
    counter.add(labels(&monitoring, Color::Red, "meanwhile"), 1);
    assert!(monitoring.render().contains("meanwhile"));
    text.extend(slow.flatten());
    let samples: Samples = std::str::from_utf8(&text).unwrap().parse().unwrap();
    assert_eq!(samples.sum("test_counter_total", &[]), 2_001.0);
}

proptest! {
    #[test]
    fn seconds_are_written_exactly(nanoseconds in prop_oneof![any::<u64>(), 0..2_000_000_000_u64, (0..20_u32).prop_map(|power| 10_u64.pow(power.min(19)))]) {
        const DESCRIPTOR: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "");
        let monitoring = monitoring();
        let counter: Counter<(), Duration> = monitoring.registry().counter(&DESCRIPTOR).unwrap();
        counter.add((), Duration::from_nanos(nanoseconds));

        let text = of_tests(&monitoring);
        let value = text.trim_end().rsplit(' ').next().unwrap();
        // As a decimal number: its digits are those of the nanoseconds, the point nine from the right.
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let digits = format!("{whole}{fraction:0<9}");
        prop_assert_eq!(digits.parse::<u64>(), Ok(nanoseconds));
        prop_assert!(!fraction.ends_with('0') && fraction.len() <= 9, "{}", value);
        prop_assert!(whole == "0" || !whole.starts_with('0'), "{}", value);
    }

    #[test]
    fn any_label_value_is_read_back_as_it_was(texts in prop::collection::hash_set(any_text(), 1..20)) {
        const DESCRIPTOR: Descriptor = Descriptor::counter("test.any", THINGS, "").labels(&["color", "name"]);
        let monitoring = monitoring();
        let counter: Counter<Labels> = monitoring.registry().counter(&DESCRIPTOR).unwrap();
        let kept: Vec<_> = texts.iter().filter(|text| text.len() <= 256 && *text != "__other__").collect();
        for text in &kept {
            counter.add(labels(&monitoring, Color::Red, text), 1);
        }
        let rendered = monitoring.render();
        let samples: Samples = rendered.parse().unwrap();
        for text in &kept {
            let labels: &[_] = if text.is_empty() { &[("color", "red")] } else { &[("color", "red"), ("name", text)] };
            prop_assert_eq!(samples.value("test_any_total", labels), Some(1.0));
        }
        prop_assert_eq!(samples.sum("test_any_total", &[]), kept.len() as f64);
    }

    #[test]
    fn any_gauge_is_read_back_bit_by_bit(value in any::<f64>()) {
        const DESCRIPTOR: Descriptor = Descriptor::gauge("test.gauge", THINGS, "");
        let monitoring = monitoring();
        let gauge: Gauge<()> = monitoring.registry().gauge(&DESCRIPTOR).unwrap();
        gauge.set((), value);
        let text = of_tests(&monitoring);
        let read = text.lines().last().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap().to_bits());
        prop_assert_eq!(read, value.is_finite().then_some(value.to_bits()));
    }
}
