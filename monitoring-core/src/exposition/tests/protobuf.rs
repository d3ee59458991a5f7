//! The messages, decoded.

use proptest::prelude::*;
use prost::Message;

use super::super::protobuf::Messages;
use super::super::protobuf::messages::{
    BucketSpan, Histogram as HistogramMessage, LabelPair, Metric, MetricFamily, MetricType,
};
use super::*;
use crate::store::Exponential;
use crate::{Counter, Gauge, Histogram, TenantCounter, TenantHistogram, Tier, UpDownCounter};

fn decoded(mut bytes: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut bytes).unwrap());
    }
    families
}

/// The one message about a family.
fn message(monitoring: &Monitoring, name: &str) -> MetricFamily {
    let families = decoded(&bytes(monitoring.exposition_in(Format::Protobuf)));
    let mut found = families.into_iter().filter(|family| family.name() == name);
    let family = found.next().unwrap();
    assert!(found.next().is_none(), "{name} is in two messages");
    family
}

fn label<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    metric.label.iter().find(|label| label.name() == name).map(LabelPair::value)
}

/// The only message that a writer makes of one series.
fn native(monitoring: &Monitoring, name: &str, exponential: Exponential) -> HistogramMessage {
    let (place, family, mut series) = family(monitoring, name);
    series.exponential = Some(exponential);
    let exemplar = |bucket: usize| (bucket > 0).then(|| kept(bucket as f64));
    let families = decoded(&written(Messages::default(), (place, family, series), exemplar));
    let [family] = &families[..] else { panic!("{families:?}") };
    family.metric[0].histogram.clone().unwrap()
}

#[test]
fn a_counter_is_a_metric_for_each_series() {
    const LOGINS: Descriptor =
        Descriptor::counter("test.logins", THINGS, "Logins.").labels(&["color", "name"]).per_tenant();
    let monitoring = monitoring();
    let logins: TenantCounter<Labels> = monitoring.registry().tenant_counter(&LOGINS).unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    logins.add(acme, labels(&monitoring, Color::Red, "a\n\"b\"\\"), 7);
    logins.add(acme, labels(&monitoring, Color::None, ""), 1);

    let family = message(&monitoring, "test_logins_total");
    assert_eq!((family.help(), family.kind()), ("Logins.", MetricType::Counter));
    let found: Vec<_> = family
        .metric
        .iter()
        .map(|metric| {
            let labels: Vec<_> = metric.label.iter().map(|label| (label.name(), label.value())).collect();
            (labels, metric.counter.as_ref().unwrap().value())
        })
        .collect();
    let expected =
        [(vec![("tenant", "acme"), ("color", "red"), ("name", "a\n\"b\"\\")], 7.0), (vec![("tenant", "acme")], 1.0)];
    assert_eq!(found, expected);
}

#[test]
fn what_goes_up_and_down_is_a_gauge() {
    const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "");
    const SHARE: Descriptor = Descriptor::gauge("test.share", Unit::Ratio, "");
    let monitoring = monitoring();
    let level: UpDownCounter<()> = monitoring.registry().up_down_counter(&LEVEL).unwrap();
    let share: Gauge<()> = monitoring.registry().gauge(&SHARE).unwrap();
    level.add((), -3);
    share.set((), -0.0);
    let level = message(&monitoring, "test_level");
    assert_eq!((level.kind(), level.help), (MetricType::Gauge, None));
    assert_eq!(level.metric[0].gauge.unwrap().value, Some(-3.0));
    let share = message(&monitoring, "test_share_ratio").metric[0].gauge.unwrap();
    assert_eq!(share.value().to_bits(), (-0.0_f64).to_bits());
}

#[test]
fn a_histogram_has_cumulative_buckets_with_exemplars() {
    const DURATION: Descriptor =
        Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "A duration.").per_tenant();
    let monitoring = monitoring();
    let duration: TenantHistogram<()> = monitoring.registry().tenant_histogram(&DURATION).unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    for milliseconds in [5, 500, 7_000] {
        duration.record(acme, (), Duration::from_millis(milliseconds));
    }
    let found = family(&monitoring, "test_duration_seconds");
    let families = decoded(&written(Messages::default(), found, |bucket| (bucket == 1).then(|| kept(0.5))));
    assert_eq!(families[0].kind(), MetricType::Histogram);
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.sample_count, histogram.sample_sum), (Some(3), Some(7.505)));
    let buckets: Vec<_> =
        histogram.bucket.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
    assert_eq!(buckets, [(0.1, 1), (1.0, 2), (f64::INFINITY, 3)]);
    assert_eq!((histogram.schema, &histogram.positive_span[..], &histogram.exemplars[..]), (None, &[][..], &[][..]));

    let exemplars: Vec<_> = histogram.bucket.iter().map(|bucket| bucket.exemplar.as_ref()).collect();
    let [None, Some(exemplar), None] = exemplars[..] else { panic!("{exemplars:?}") };
    let pairs: Vec<_> = exemplar.label.iter().map(|label| (label.name(), label.value())).collect();
    assert_eq!(pairs, [("trace_id", "0af7651916cd43dd8448eb211c80319c"), ("span_id", "b7b7b7b7b7b7b7b7")]);
    let time = exemplar.timestamp.unwrap();
    assert_eq!((exemplar.value(), time.seconds, time.nanos), (0.5, 1_700_000_000, 250_000_000));
}

#[test]
fn a_histogram_with_exponential_buckets_is_native_and_classic() {
    const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "");
    let monitoring = monitoring();
    let duration: Histogram<()> = monitoring.registry().histogram(&DURATION).unwrap();
    duration.record((), Duration::from_secs(3));
    let exponential = Exponential { scale: 0, zero_count: 1, offset: 1, buckets: vec![4] };
    let histogram = native(&monitoring, "test_duration_seconds", exponential);
    assert_eq!((histogram.sample_count, histogram.sample_sum), (Some(5), Some(3.0)));
    assert_eq!((histogram.schema, histogram.zero_threshold, histogram.zero_count), (Some(0), Some(0.0), Some(1)));
    assert_eq!(histogram.positive_span, [BucketSpan { offset: Some(2), length: Some(1) }]);
    assert_eq!(histogram.positive_delta, [4]);
    let values: Vec<_> =
        histogram.exemplars.iter().map(|exemplar| (exemplar.value(), exemplar.timestamp.is_some())).collect();
    assert_eq!(values, [(1.0, true), (2.0, true)]);
    let buckets: Vec<_> =
        histogram.bucket.iter().map(|bucket| (bucket.upper_bound(), bucket.exemplar.is_some())).collect();
    assert_eq!(buckets, [(0.1, false), (1.0, true), (f64::INFINITY, true)]);
}

#[test]
fn the_count_of_a_histogram_is_that_of_its_last_bucket_of_either_sort() {
    const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "");
    let monitoring = monitoring();
    let duration: Histogram<()> = monitoring.registry().histogram(&DURATION).unwrap();
    for milliseconds in [50, 50, 50, 500, 5_000] {
        duration.record((), Duration::from_millis(milliseconds));
    }
    // Read before some values were in them, and after there were more.
    for (counted, expected) in [(2, [2, 2, 2]), (4, [3, 4, 4]), (5, [3, 4, 5]), (9, [3, 4, 9])] {
        let exponential = Exponential { buckets: vec![counted], ..Exponential::default() };
        let histogram = native(&monitoring, "test_duration_seconds", exponential);
        let buckets: Vec<_> = histogram.bucket.iter().map(|bucket| bucket.cumulative_count()).collect();
        assert_eq!((histogram.sample_count(), &buckets[..]), (counted, &expected[..]));
    }
}

#[test]
fn a_unit_is_told_where_the_name_ends_with_it() {
    const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "");
    const SHARE: Descriptor = Descriptor::gauge("test.share", Unit::Ratio, "");
    const LOGINS: Descriptor = Descriptor::counter("test.logins", THINGS, "");
    let monitoring = monitoring();
    monitoring.registry().counter::<(), Duration>(&TIME).unwrap().add((), Duration::from_secs(1));
    monitoring.registry().gauge::<()>(&SHARE).unwrap().set((), 0.5);
    monitoring.registry().counter::<(), u64>(&LOGINS).unwrap().add((), 1);
    let unit = |name| message(&monitoring, name).unit;
    assert_eq!(unit("test_time_seconds_total").as_deref(), Some("seconds"));
    assert_eq!(unit("test_share_ratio").as_deref(), Some("ratio"));
    assert_eq!(unit("test_logins_total"), None);
}

#[test]
fn series_of_either_sort_may_follow_one_another() {
    const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[1.0], "");
    let monitoring = monitoring();
    monitoring.registry().histogram::<(), Duration>(&DURATION).unwrap().record((), Duration::from_secs(3));
    let (place, family, mut series) = family(&monitoring, "test_duration_seconds");
    let (mut writer, mut out) = (Messages::default(), Vec::new());
    writer.begin(&mut out, family, place);
    for exponential in [None, Some(Exponential { buckets: vec![9], ..Exponential::default() }), None] {
        series.exponential = exponential;
        writer.write(&mut out, family, &series, |_| None);
    }
    writer.end(&mut out);
    let histograms: Vec<_> = decoded(&out)[0].metric.iter().map(|metric| metric.histogram.clone().unwrap()).collect();
    assert_eq!(histograms[0], histograms[2]);
    assert_eq!((histograms[0].sample_count(), histograms[0].bucket.len()), (1, 2));
    assert_eq!((histograms[1].sample_count(), histograms[1].bucket.len()), (9, 2));
    assert_eq!((histograms[0].schema, histograms[1].schema), (None, Some(0)));
}

#[test]
fn a_family_of_many_series_is_several_messages_that_are_each_complete() {
    const COUNTER: Descriptor = Descriptor::counter("test.many", THINGS, "Many.").labels(&["color", "name"]);
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    for number in 0..10_000 {
        counter.add(labels(&monitoring, Color::Red, &format!("name-{number}")), number);
    }
    let chunks: Vec<_> = monitoring.exposition_in(Format::Protobuf).collect();
    assert!(chunks.len() > 5, "{} chunks", chunks.len());
    let (mut sum, mut series) = (0.0, 0);
    for chunk in &chunks {
        assert!(chunk.len() < 36 * 1024, "a chunk of {} bytes", chunk.len());
        // No message is split between chunks.
        for family in decoded(chunk).iter().filter(|family| family.name() == "test_many_total") {
            assert_eq!((family.help(), family.kind()), ("Many.", MetricType::Counter));
            series += family.metric.len();
            sum += family.metric.iter().map(|metric| metric.counter.as_ref().unwrap().value()).sum::<f64>();
        }
    }
    assert_eq!((series, sum), (10_000, 49_995_000.0));
}

proptest! {
    #[test]
    fn any_label_value_is_read_back_as_it_was(texts in prop::collection::hash_set(any_text(), 1..20), value in 0..1_u64 << 53) {
        const COUNTER: Descriptor = Descriptor::counter("test.any", THINGS, "").labels(&["color", "name"]);
        let monitoring = monitoring();
        let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
        let kept: Vec<_> = texts.iter().filter(|text| text.len() <= 256 && *text != "__other__").collect();
        prop_assume!(!kept.is_empty());
        for text in &kept {
            counter.add(labels(&monitoring, Color::Red, text), value);
        }
        let family = message(&monitoring, "test_any_total");
        prop_assert_eq!(family.metric.len(), kept.len());
        for text in &kept {
            let metric = family.metric.iter().find(|metric| label(metric, "name").unwrap_or_default() == *text).unwrap();
            prop_assert_eq!(label(metric, "color"), Some("red"));
            prop_assert_eq!(metric.counter.as_ref().unwrap().value(), value as f64);
        }
    }

    #[test]
    fn any_time_is_the_same_number_as_in_text(nanoseconds in 0..1_u64 << 53) {
        const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "");
        let monitoring = monitoring();
        monitoring.registry().counter::<(), Duration>(&TIME).unwrap().add((), Duration::from_nanos(nanoseconds));
        let text = monitoring.render();
        let (_, read) = text.trim_end().rsplit_once(' ').unwrap();
        let found = message(&monitoring, "test_time_seconds_total").metric[0].counter.unwrap().value();
        prop_assert_eq!(read.parse::<f64>().unwrap().to_bits(), found.to_bits());
    }
}
