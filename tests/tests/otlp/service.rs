//! What is measured in these tests.

use std::time::Duration;

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::otlp::OtlpConfig;
use monitoring_core::{
    CardinalityBudget, Counter, Gauge, Histogram, LabelSet, Monitoring, Symbol, Tenant, TenantCounter, TenantHistogram,
    Tier, UpDownCounter,
};

const THINGS: Unit = Unit::Count("{thing}");
const CALLS: Descriptor = Descriptor::counter("acme.calls", THINGS, "Calls.").labels(&["acme.kind"]);
const TIME: Descriptor = Descriptor::counter("acme.time", Unit::Seconds, "Time.");
const LEVEL: Descriptor = Descriptor::up_down_counter("acme.level", THINGS, "Level.");
const SHARE: Descriptor = Descriptor::gauge("acme.share", Unit::Ratio, "Share.");
const SIZE: Descriptor = Descriptor::histogram("acme.size", Unit::Bytes, &[10.0, 100.5, 1e6], "Sizes.");
const TENANT_CALLS: Descriptor =
    Descriptor::counter("acme.tenant.calls", THINGS, "Calls.").labels(&["acme.kind"]).per_tenant();
const TENANT_DURATION: Descriptor =
    Descriptor::histogram("acme.tenant.duration", Unit::Seconds, &[0.01, 0.25, 1.0], "Durations.").per_tenant();

#[derive(Clone, Copy, LabelSet)]
struct Kind {
    acme_kind: Symbol,
}

/// A service with some tenants.
pub(crate) struct Service {
    pub(crate) monitoring: Monitoring,
    tenants: Vec<Tenant>,
    calls: Counter<Kind>,
    time: Counter<(), Duration>,
    level: UpDownCounter<()>,
    share: Gauge<()>,
    size: Histogram<(), u64>,
    tenant_calls: TenantCounter<Kind>,
    tenant_duration: TenantHistogram<()>,
}

impl Service {
    /// A service that pushes as told; every 20 ms if nothing else is said.
    pub(crate) fn new(config: OtlpConfig) -> Self {
        Self::of(Monitoring::builder("acme").otlp(config).build().unwrap())
    }

    /// One that has room for two series of registered tenants in each metric, but for what each tenant has for sure.
    pub(crate) fn small(config: OtlpConfig) -> Self {
        let budget = CardinalityBudget::default().per_family(2).per_tenant(1);
        Self::of(Monitoring::builder("acme").otlp(config).cardinality_budget(budget).build().unwrap())
    }

    pub(crate) fn of(monitoring: Monitoring) -> Self {
        let registry = monitoring.registry();
        let register = |id: &str| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap();
        let mut tenants: Vec<Tenant> = ["alpha", "beta", "gamma"].map(register).to_vec();
        tenants.extend([Tenant::NONE, Tenant::UNKNOWN]);
        Self {
            tenants,
            calls: registry.counter(&CALLS).unwrap(),
            time: registry.counter(&TIME).unwrap(),
            level: registry.up_down_counter(&LEVEL).unwrap(),
            share: registry.gauge(&SHARE).unwrap(),
            size: registry.histogram(&SIZE).unwrap(),
            tenant_calls: registry.tenant_counter(&TENANT_CALLS).unwrap(),
            tenant_duration: registry.tenant_histogram(&TENANT_DURATION).unwrap(),
            monitoring,
        }
    }

    /// Records something of everything, different for each number.
    pub(crate) fn work(&self, number: u64) {
        let kinds = ["plain", "with \"quotes\", a comma, \\ and\na line feed", "größe \u{202e}", "", "\u{0}"];
        for kind in kinds {
            let kind = Kind { acme_kind: self.monitoring.registry().symbol(kind) };
            self.calls.add(kind, number);
            for (place, tenant) in (1..).zip(&self.tenants) {
                self.tenant_calls.add(*tenant, kind, number * place);
            }
        }
        self.time.add((), Duration::from_nanos(1_234_567_891 * number));
        self.level.add((), 3 - (number % 7) as i64);
        self.share.set((), 1.0 / number as f64);
        self.size.record((), 40 * number);
        for (place, tenant) in (1..).zip(&self.tenants) {
            self.tenant_duration.record(*tenant, (), Duration::from_micros(997 * number * place));
        }
    }

    /// Makes so many series of one metric.
    pub(crate) fn many(&self, series: usize) {
        for number in 0..series {
            let kind = Kind { acme_kind: self.monitoring.registry().symbol(&format!("kind-{number}")) };
            self.calls.add(kind, 1);
        }
    }
}

/// A time in which a request is answered by a collector that works, and not tried again by one that does not.
pub(crate) const SHORTER_THAN_A_PAUSE: Duration = Duration::from_millis(450);

/// Pushes every 20 ms.
pub(crate) fn quick() -> OtlpConfig {
    OtlpConfig::default()
        .interval(Duration::from_millis(20))
        .timeout(Duration::from_secs(5))
        .export_timeout(Duration::from_secs(10))
}
