//! What a record into an outside recorder allocates on our side once its series exists: nothing. This binary has an allocator
//! that counts.
#![cfg(feature = "metrics")]

use std::time::Duration;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString};
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{
    CardinalityBudget, Counter, Gauge, Histogram, LabelSet, Monitoring, Symbol, TenantCounter, TenantGauge,
    TenantHistogram, UpDownCounter,
};

const THINGS: Unit = Unit::Count("{thing}");
const NAMES: &[&str] = &["route"];
const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "Things.").labels(NAMES);
const TENANT_COUNTER: Descriptor = Descriptor::counter("test.tenant", THINGS, "Things.").labels(NAMES).per_tenant();
const TENANT_TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "Time.").labels(NAMES).per_tenant();
const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "Things.").labels(NAMES);
const GAUGE: Descriptor = Descriptor::gauge("test.gauge", THINGS, "Things.").labels(NAMES);
const TENANT_GAUGE: Descriptor = Descriptor::gauge("test.tenant.gauge", THINGS, "Things.").labels(NAMES).per_tenant();
const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "Time.").labels(NAMES);
const TENANT_DURATION: Descriptor =
    Descriptor::histogram("test.tenant.duration", Unit::Seconds, &[0.1, 1.0], "Time.").labels(NAMES).per_tenant();

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    route: Symbol,
}

/// A recorder that does nothing with what it is told.
struct Nothing;

impl Recorder for Nothing {
    fn describe_counter(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> metrics::Counter {
        metrics::Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[test]
fn handing_on_allocates_nothing_once_the_series_exist() {
    let budget = CardinalityBudget::default().per_tenant(1).combinations(3);
    let monitoring = Monitoring::builder("test").cardinality_budget(budget).record_into(Nothing).build().unwrap();
    let registry = monitoring.registry();
    let counter: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let tenant_counter: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let tenant_time: TenantCounter<Labels, Duration> = registry.tenant_counter(&TENANT_TIME).unwrap();
    let level: UpDownCounter<Labels> = registry.up_down_counter(&LEVEL).unwrap();
    let gauge: Gauge<Labels> = registry.gauge(&GAUGE).unwrap();
    let tenant_gauge: TenantGauge<Labels> = registry.tenant_gauge(&TENANT_GAUGE).unwrap();
    let duration: Histogram<Labels> = registry.histogram(&DURATION).unwrap();
    let tenant_duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let acme = monitoring.tenants().admit("acme");

    let work = || {
        for number in 0..1_000_u16 {
            // Some of them have no series of their own.
            let route = registry.symbol(["/a", "/b", "/c", "/d", "/e"][usize::from(number % 5)]);
            let (labels, time) = (Labels { route }, Duration::from_millis(u64::from(number)));
            counter.add(labels, 1);
            tenant_counter.add(acme, labels, 1);
            tenant_time.add(acme, labels, time);
            gauge.set(labels, f64::from(number));
            tenant_gauge.set(acme, labels, f64::from(number));
            duration.record(labels, time);
            tenant_duration.record(acme, labels, time);
            drop(level.in_flight(labels));
        }
    };
    work();
    assert_eq!(allocation_counter::measure(work).count_total, 0);
}
