//! The store as requests: what a receiver decodes is what the store has.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use proptest::prelude::*;
use prost::Message;

use super::OtlpConfig;
use super::acknowledged::Acknowledged;
use super::batch::{Batch, MAX_BYTES, MAX_POINTS, Walk};
use super::resource::{resource, scope};
use crate::catalogue::{Descriptor, Unit};
use crate::store::{CardinalityBudget, Registry, Symbols};
use crate::{Counter, LabelSet, LabelValue, Monitoring, Symbol, TenantCounter, TenantHistogram, Tier};

const THINGS: Unit = Unit::Count("{thing}");
const CALLS: Descriptor = Descriptor::counter("test.calls", THINGS, "Calls.").labels(&["a.text", "b"]);
const BY_TENANT: Descriptor = Descriptor::counter("test.by.tenant", THINGS, "Calls.").per_tenant();
const DURATION: Descriptor =
    Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "Durations.").per_tenant();
const LONG: Descriptor = Descriptor::counter("test.long", THINGS, "Things.").labels(&["text", "more", "most"]);

#[derive(Clone, Copy, LabelSet)]
struct Texts {
    a_text: Symbol,
    b: Symbol,
}

/// As long a text as a label can have.
#[derive(Clone, Copy)]
struct Long(u16);

impl LabelValue for Long {
    const BITS: u32 = 16;

    fn id(self) -> u64 {
        self.0.into()
    }

    fn text(self, _symbols: &Symbols) -> Cow<'_, str> {
        Cow::Owned(format!("{:0>256}", self.0))
    }
}

#[derive(Clone, Copy, LabelSet)]
struct LongLabels {
    text: Long,
    more: Long,
    most: Long,
}

fn decode(batch: &mut Batch) -> ExportMetricsServiceRequest {
    let message = batch.encode(&resource("test", &OtlpConfig::default()), &scope());
    ExportMetricsServiceRequest::decode(message).unwrap()
}

/// All requests of a walk, with their sizes.
fn requests(mut walk: Walk<'_>, mut acknowledged: Option<&mut Acknowledged>) -> Vec<ExportMetricsServiceRequest> {
    let mut requests = Vec::new();
    while let Some(mut batch) = walk.next(acknowledged.as_deref_mut()) {
        assert!(batch.points <= MAX_POINTS);
        if batch.points > 0 {
            requests.push(decode(&mut batch));
        }
    }
    requests
}

/// The values of a sum by its points' attributes.
fn sums(requests: &[ExportMetricsServiceRequest], name: &str) -> BTreeMap<Vec<(String, String)>, i64> {
    let points = requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .filter(|metric| metric.name == name)
        .flat_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.iter(),
            other => panic!("{other:?} is no sum"),
        });
    points.map(|point| (attributes(point), whole(point))).collect()
}

fn whole(point: &NumberDataPoint) -> i64 {
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => value,
        other => panic!("{other:?} is no whole number"),
    }
}

fn attributes(point: &NumberDataPoint) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => format!("{value} (a boolean)"),
        other => panic!("{other:?}"),
    };
    let attributes = point.attributes.iter();
    attributes
        .map(|one| (one.key.clone(), text(one.value.as_ref().and_then(|value| value.value.as_ref()).unwrap())))
        .collect()
}

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

proptest! {
    #[test]
    fn any_label_value_arrives_as_it_is(texts in prop::collection::hash_map("\\PC{0,20}|.{0,20}", 1..1000_u64, 1..20)) {
        let monitoring = monitoring();
        let calls: Counter<Texts> = monitoring.registry().counter(&CALLS).unwrap();
        let mut expected = BTreeMap::new();
        for (text, count) in &texts {
            let labels = Texts { a_text: monitoring.registry().symbol(text), b: monitoring.registry().symbol("x\n\"\\") };
            calls.add(labels, *count);
            let mut attributes = vec![pair("a.text", text), pair("b", "x\n\"\\")];
            attributes.retain(|(_, value)| !value.is_empty());
            expected.insert(attributes, *count as i64);
        }
        let requests = requests(Walk::whole(monitoring.registry(), 0), None);
        prop_assert_eq!(sums(&requests, "test.calls"), expected);
    }

    #[test]
    fn deltas_add_up_whichever_requests_are_accepted(
        rounds in prop::collection::vec((prop::collection::vec((0..4_u8, 0..5_u64), 0..6), any::<bool>()), 1..12),
    ) {
        let monitoring = monitoring();
        let calls: Counter<Texts> = monitoring.registry().counter(&CALLS).unwrap();
        let mut acknowledged = Acknowledged::default();
        let (mut received, mut recorded) = (BTreeMap::<_, i64>::new(), BTreeMap::<_, i64>::new());
        for (records, is_accepted) in rounds.into_iter().chain([(Vec::new(), true)]) {
            for (name, amount) in records {
                let text = format!("kind-{name}");
                let labels = Texts { a_text: monitoring.registry().symbol(&text), b: Symbol::ABSENT };
                calls.add(labels, amount);
                *recorded.entry(vec![pair("a.text", &text)]).or_default() += amount as i64;
            }
            let mut walk = Walk::whole(monitoring.registry(), 0);
            while let Some(mut batch) = walk.next(Some(&mut acknowledged)) {
                if !is_accepted {
                    continue;
                }
                let marks = std::mem::take(&mut batch.marks);
                for (attributes, change) in sums(&[decode(&mut batch)], "test.calls") {
                    *received.entry(attributes).or_default() += change;
                }
                acknowledged.accept(marks);
            }
            acknowledged.forget_the_rest();
        }
        prop_assert_eq!(received, recorded);
    }
}

#[test]
fn requests_of_long_values_have_few_points() {
    let monitoring = monitoring();
    let long: Counter<LongLabels> = monitoring.registry().counter(&LONG).unwrap();
    let text = |number: u16| format!("{number:0>256}");
    for number in (0..2_000).map(Long) {
        long.add(LongLabels { text: number, more: number, most: number }, 1);
    }
    let requests = requests(Walk::whole(monitoring.registry(), 0), None);
    let sizes: Vec<usize> = requests.iter().map(Message::encoded_len).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size < MAX_BYTES + 8_192), "{sizes:?}");
    let labels = |number| ["text", "more", "most"].map(|name| pair(name, &text(number))).to_vec();
    let expected = (0..2_000).map(|number| (labels(number), 1));
    assert!(sums(&requests, "test.long") == expected.collect());
}

#[test]
fn what_has_no_series_of_its_own_is_marked_with_a_boolean() {
    let budget = CardinalityBudget::default().per_family(1).per_tenant(1).combinations(2);
    let monitoring = Monitoring::builder("test").cardinality_budget(budget).max_tenants(2).build().unwrap();
    let calls: Counter<Texts> = monitoring.registry().counter(&CALLS).unwrap();
    for text in ["one", "two", "three"] {
        calls.add(Texts { a_text: monitoring.registry().symbol(text), b: Symbol::ABSENT }, 1);
    }
    let by_tenant: TenantCounter<()> = monitoring.registry().tenant_counter(&BY_TENANT).unwrap();
    by_tenant.add(crate::Tenant::OTHER, (), 5);
    let requests = requests(Walk::whole(monitoring.registry(), 0), None);
    let overflow = pair("otel.metric.overflow", "true (a boolean)");
    assert_eq!(sums(&requests, "test.calls").get(&vec![overflow.clone()]), Some(&1));
    assert_eq!(sums(&requests, "test.by.tenant"), [(vec![pair("tenant", "__other__"), overflow], 5)].into());
}

#[test]
fn a_count_beyond_what_otlp_can_say_stays_at_the_highest() {
    let monitoring = monitoring();
    let by_tenant: TenantCounter<()> = monitoring.registry().tenant_counter(&BY_TENANT).unwrap();
    by_tenant.add(crate::Tenant::NONE, (), u64::MAX);
    let requests = requests(Walk::whole(monitoring.registry(), 0), None);
    assert_eq!(sums(&requests, "test.by.tenant").into_values().collect::<Vec<_>>(), [i64::MAX]);
}

/// A store with many tenants, made once: it takes its time.
fn many_tenants() -> &'static Registry {
    static MONITORING: OnceLock<Monitoring> = OnceLock::new();
    let monitoring = MONITORING.get_or_init(|| {
        let monitoring = monitoring();
        let calls: TenantCounter<()> = monitoring.registry().tenant_counter(&BY_TENANT).unwrap();
        let durations: TenantHistogram<()> = monitoring.registry().tenant_histogram(&DURATION).unwrap();
        for number in 0..500 {
            let id = format!("tenant-{number}").parse().unwrap();
            let tenant = monitoring.tenants().register(id, Tier::Standard).unwrap();
            // Every other tenant has nothing to tell.
            if number % 2 == 0 {
                calls.add(tenant, (), 1);
                durations.record(tenant, (), Duration::from_millis(1));
            }
        }
        monitoring
    });
    monitoring.registry()
}

#[test]
fn tenant_by_tenant_each_has_one_request_and_all_have_a_turn_wherever_it_begins() {
    for first in [0, 1, 499, 500, 1_234] {
        let mut walk = Walk::by_tenant(many_tenants(), first, 0);
        let mut tenants = Vec::new();
        while let Some(mut batch) = walk.next(None) {
            let request = decode(&mut batch);
            let named: Vec<String> =
                sums(&[request], "test.by.tenant").into_keys().flatten().map(|(_, id)| id).collect();
            if let Some(tenant) = batch.tenant {
                assert_eq!(named, [tenant.to_string()]);
                assert_eq!(batch.points, 2);
                tenants.push(tenant.to_string());
            }
        }
        let start = (first % 500).next_multiple_of(2) % 500;
        let expected: Vec<String> = (0..250).map(|place| format!("tenant-{}", (start + 2 * place) % 500)).collect();
        assert_eq!(tenants, expected, "beginning with {first}");
    }
}

#[test]
fn both_ways_through_the_store_say_the_same() {
    let shared = requests(Walk::whole(many_tenants(), 0), None);
    let split = requests(Walk::by_tenant(many_tenants(), 7, 0), None);
    assert_eq!(sums(&shared, "test.by.tenant").len(), 250);
    assert_eq!(sums(&shared, "test.by.tenant"), sums(&split, "test.by.tenant"));
}

#[test]
fn the_clock_may_be_put_back() {
    let monitoring = monitoring();
    let calls: TenantCounter<()> = monitoring.registry().tenant_counter(&BY_TENANT).unwrap();
    calls.add(crate::Tenant::NONE, (), 1);
    let intervals = |not_before| -> Vec<(u64, u64)> {
        let requests = requests(Walk::whole(monitoring.registry(), not_before), None);
        let metrics = requests.iter().flat_map(|request| &request.resource_metrics[0].scope_metrics[0].metrics);
        let sums = metrics.filter_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => Some(&sum.data_points),
            _ => None,
        });
        sums.flatten().map(|point| (point.start_time_unix_nano, point.time_unix_nano)).collect()
    };
    let future = u64::MAX / 2;
    let later = intervals(future);
    assert!(!later.is_empty() && later.iter().all(|(start, end)| start < end && *end == future), "{later:?}");
    assert!(intervals(0).iter().all(|(start, end)| 0 < *start && start <= end && *end < future));
}

#[test]
fn a_clock_that_was_put_back_before_the_first_export_makes_no_delta_count_twice() {
    let monitoring = monitoring();
    let calls: TenantCounter<()> = monitoring.registry().tenant_counter(&BY_TENANT).unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut last = 0;
    let mut received = Vec::new();
    for amount in [3, 0, 4] {
        calls.add(crate::Tenant::NONE, (), amount);
        let mut walk = Walk::whole(monitoring.registry(), last);
        walk.clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        while let Some(mut batch) = walk.next(Some(&mut acknowledged)) {
            let marks = std::mem::take(&mut batch.marks);
            received.extend(sums(&[decode(&mut batch)], "test.by.tenant").into_values());
            acknowledged.accept(marks);
        }
        last = walk.now() + 1;
        acknowledged.forget_the_rest();
    }
    assert_eq!(received, [3, 4]);
}

#[test]
fn two_metrics_of_one_name_have_two_names() {
    const SIZES: [Descriptor; 3] = [
        Descriptor::gauge("test.size", Unit::Bytes, "Bytes."),
        Descriptor::gauge("test.size", THINGS, "Things."),
        Descriptor::counter("Test.Size", THINGS, "Things, added up."),
    ];
    let monitoring = monitoring();
    let registry = monitoring.registry();
    let [_bytes, things] = [&SIZES[0], &SIZES[1]].map(|size| registry.gauge::<()>(size).unwrap());
    things.set((), 1.0);
    registry.counter::<(), u64>(&SIZES[2]).unwrap().add((), 1);
    let names = |requests: Vec<ExportMetricsServiceRequest>| -> Vec<String> {
        let metrics =
            requests.into_iter().flat_map(|request| request.resource_metrics[0].scope_metrics[0].metrics.clone());
        metrics.map(|metric| metric.name).filter(|name| name.to_lowercase().contains("size")).collect()
    };
    // The first has its name also while it has no value.
    assert_eq!(names(requests(Walk::whole(registry, 0), None)), ["test_size", "Test_Size_total"]);
    assert_eq!(names(requests(Walk::by_tenant(registry, 0, 0), None)), ["test_size", "Test_Size_total"]);
}
