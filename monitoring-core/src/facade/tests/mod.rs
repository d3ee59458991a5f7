//! Two monitorings that are told the same: one that exposes it, one that records it into `metrics-exporter-prometheus`.
//!
//! `same.rs` compares what both show; `tenants.rs` has many of them; `handles.rs` looks at the handles in between, when series
//! go idle, when threads meet, and when the recorder fails.

mod handles;
mod same;
mod tenants;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit as FacadeUnit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use monitoring_tests::exposition::Samples;

use crate::catalogue::{self, Descriptor, Kind, Unit};
use crate::{
    CardinalityBudget, LabelSet, LabelValue, Monitoring, Symbol, TenantCounter, TenantGauge, TenantHistogram, Tier,
};

const THINGS: Unit = Unit::Count("{thing}");
const NAMES: &[&str] = &["route", "cached"];
const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "Things.").labels(NAMES);
const BYTES: Descriptor = Descriptor::counter("test.sent", Unit::Bytes, "Bytes\nthat \\ were sent.").labels(NAMES);
const TENANT_COUNTER: Descriptor =
    Descriptor::counter("test.tenant.counter", THINGS, "Things by tenant.").labels(NAMES).per_tenant();
const TENANT_TIME: Descriptor =
    Descriptor::counter("test.tenant.time", Unit::Seconds, "Time by tenant.").labels(NAMES).per_tenant();
const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "Time.").labels(NAMES);
const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "A level.").labels(NAMES);
const GAUGE: Descriptor = Descriptor::gauge("test.gauge", Unit::Ratio, "A gauge.").labels(NAMES);
const TENANT_GAUGE: Descriptor =
    Descriptor::gauge("test.tenant.gauge", Unit::Bytes, "A gauge by tenant.").labels(NAMES).per_tenant();
const DURATION: Descriptor =
    Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 0.25, 1.0], "A duration.").labels(NAMES);
const SIZE: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[10.0, 1e3], "A size.").labels(NAMES);
const TENANT_DURATION: Descriptor =
    Descriptor::histogram("test.tenant.duration", Unit::Seconds, &[0.1, 1.0], "A duration by tenant.")
        .labels(NAMES)
        .per_tenant();

#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
enum Cached {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct Labels {
    route: Symbol,
    cached: Option<Cached>,
}

/// A monitoring, and families of every kind in it.
struct Side {
    monitoring: Monitoring,
    counter: crate::Counter<Labels>,
    bytes: crate::Counter<Labels>,
    time: crate::Counter<Labels, Duration>,
    tenant_counter: TenantCounter<Labels>,
    tenant_time: TenantCounter<Labels, Duration>,
    level: crate::UpDownCounter<Labels>,
    gauge: crate::Gauge<Labels>,
    tenant_gauge: TenantGauge<Labels>,
    duration: crate::Histogram<Labels>,
    size: crate::Histogram<Labels, u64>,
    tenant_duration: TenantHistogram<Labels>,
}

impl Side {
    fn of(monitoring: Monitoring) -> Self {
        for id in ["acme", "zeta", "omega"] {
            monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap();
        }
        let registry = monitoring.registry();
        Self {
            counter: registry.counter(&COUNTER).unwrap(),
            bytes: registry.counter(&BYTES).unwrap(),
            time: registry.counter(&TIME).unwrap(),
            tenant_counter: registry.tenant_counter(&TENANT_COUNTER).unwrap(),
            tenant_time: registry.tenant_counter(&TENANT_TIME).unwrap(),
            level: registry.up_down_counter(&LEVEL).unwrap(),
            gauge: registry.gauge(&GAUGE).unwrap(),
            tenant_gauge: registry.tenant_gauge(&TENANT_GAUGE).unwrap(),
            duration: registry.histogram(&DURATION).unwrap(),
            size: registry.histogram(&SIZE).unwrap(),
            tenant_duration: registry.tenant_histogram(&TENANT_DURATION).unwrap(),
            monitoring,
        }
    }

    fn labels(&self, route: &str, cached: Option<Cached>) -> Labels {
        Labels { route: self.monitoring.registry().symbol(route), cached }
    }
}

/// One that exposes, and one that records into an exporter.
struct Pair {
    ours: Side,
    outbound: Side,
    endpoint: PrometheusHandle,
}

fn exporter() -> PrometheusBuilder {
    let descriptors = [DURATION, SIZE, TENANT_DURATION];
    let own = descriptors.iter().map(|descriptor| (descriptor.prometheus_name(), descriptor.buckets()));
    catalogue::histogram_buckets().chain(own).fold(PrometheusBuilder::new(), |exporter, (name, buckets)| {
        exporter.set_buckets_for_metric(Matcher::Full(name), buckets).unwrap()
    })
}

impl Pair {
    fn new(budget: CardinalityBudget) -> Self {
        Self::with(budget, exporter())
    }

    fn with(budget: CardinalityBudget, exporter: PrometheusBuilder) -> Self {
        let recorder = exporter.build_recorder();
        let endpoint = recorder.handle();
        let builder = Monitoring::builder("test").cardinality_budget(budget);
        let ours = Side::of(builder.clone().build().unwrap());
        let outbound = Side::of(builder.record_into(recorder).build().unwrap());
        Self { ours, outbound, endpoint }
    }

    /// Records the same in both.
    fn both(&self, record: impl Fn(&Side)) {
        record(&self.ours);
        record(&self.outbound);
    }

    /// What both show, as text: ours, then the exporter's.
    fn texts(&self) -> [String; 2] {
        // The first look makes series about the store itself, which the second one counts.
        self.ours.monitoring.render();
        self.outbound.monitoring.collect();
        self.outbound.monitoring.collect();
        [self.ours.monitoring.render(), self.endpoint.render()]
    }

    /// What both show.
    fn samples(&self) -> [Samples; 2] {
        self.texts().map(|text| text.parse().unwrap_or_else(|error| panic!("{error}\n{text}")))
    }

    /// Checks that both show the same series with the same values, and how many these are.
    fn check(&self) -> usize {
        let [ours, theirs] = self.samples();
        let names = |samples: &Samples| samples.iter().map(|(series, _)| series.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for ((series, ours), (_, theirs)) in ours.iter().zip(theirs.iter()) {
            // They add up floating-point numbers.
            assert!((ours - theirs).abs() <= ours.abs() * 1e-12, "{series} is {ours} here, and {theirs} there");
        }
        ours.len()
    }
}

/// A recorder that counts what it is asked for and told, and keeps nothing.
#[derive(Debug, Default)]
struct Counting {
    /// Handles that were asked for.
    handles: AtomicU64,
    described: AtomicU64,
    told: Arc<AtomicU64>,
    panics: AtomicBool,
}

/// A handle of it.
struct Told(Arc<AtomicU64>);

impl metrics::CounterFn for Told {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, _value: u64) {}
}

impl Counting {
    fn handle(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "as it was told to");
        self.handles.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<FacadeUnit>, _: SharedString) {
        self.described.fetch_add(1, Ordering::Relaxed);
    }

    fn describe_gauge(&self, _: KeyName, _: Option<FacadeUnit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<FacadeUnit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name().starts_with("monitoring_") {
            return Counter::noop();
        }
        self.handle();
        Counter::from_arc(Arc::new(Told(Arc::clone(&self.told))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        assert!(!self.panics.load(Ordering::Relaxed), "as it was told to");
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.handle();
        Histogram::noop()
    }
}

/// The handles that a family keeps.
fn handles(side: &Side, descriptor: &Descriptor) -> usize {
    let registry = side.monitoring.registry();
    let mut families = (0..).map_while(|place| registry.family_at(place));
    families.find(|family| family.name() == descriptor.prometheus_name()).unwrap().handles()
}

fn is_histogram(descriptor: &Descriptor) -> bool {
    descriptor.kind() == Kind::Histogram
}
