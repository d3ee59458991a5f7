//! What a record allocates once its series exists: nothing. This binary has an allocator that counts.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::database::{DatabaseInstruments, Operation, System};
use monitoring_core::{
    Counter, Gauge, Histogram, Instruments, LabelSet, LabelValue, Monitoring, StatusCode, Symbol, Tenant,
    TenantCounter, TenantFutureExt, TenantGauge, TenantHistogram, UpDownCounter,
};

const THINGS: Unit = Unit::Count("{thing}");
const NAMES: &[&str] = &["route", "status", "cached"];
const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "Things.").labels(NAMES);
const TENANT_COUNTER: Descriptor = Descriptor::counter("test.tenant", THINGS, "Things.").labels(NAMES).per_tenant();
const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "Things.").labels(NAMES);
const GAUGE: Descriptor = Descriptor::gauge("test.gauge", THINGS, "Things.").labels(NAMES);
const TENANT_GAUGE: Descriptor = Descriptor::gauge("test.tenant.gauge", THINGS, "Things.").labels(NAMES).per_tenant();
const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[0.1, 1.0], "Time.").labels(NAMES);
const TENANT_DURATION: Descriptor =
    Descriptor::histogram("test.tenant.duration", Unit::Seconds, &[0.1, 1.0], "Time.").labels(NAMES).per_tenant();

#[derive(Clone, Copy, LabelValue)]
enum Cached {
    Yes,
    No,
}

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    route: Symbol,
    status: StatusCode,
    cached: Option<Cached>,
}

/// The allocations of `work` the second time it is done.
fn allocations(work: impl Fn()) -> u64 {
    work();
    allocation_counter::measure(work).count_total
}

#[test]
fn recording_allocates_nothing_once_its_series_exist() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let registry = monitoring.registry();
    let counter: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let tenant_counter: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let level: UpDownCounter<Labels> = registry.up_down_counter(&LEVEL).unwrap();
    let gauge: Gauge<Labels> = registry.gauge(&GAUGE).unwrap();
    let tenant_gauge: TenantGauge<Labels> = registry.tenant_gauge(&TENANT_GAUGE).unwrap();
    let duration: Histogram<Labels> = registry.histogram(&DURATION).unwrap();
    let tenant_duration: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let operations = Instruments::<DatabaseInstruments>::of(&monitoring).unwrap();
    monitoring.tenants().admit("acme");

    let total = allocations(|| {
        for number in 0..1_000_u16 {
            let tenant = monitoring.tenants().lookup("acme");
            assert!(tenant.is_known() && monitoring.tenants().admit("acme") == tenant);
            assert!(!monitoring.tenants().lookup("nobody").is_known());
            let labels = Labels {
                route: registry.symbol(if number % 2 == 0 { "/a" } else { "/b" }),
                status: StatusCode::new(200 + number % 5),
                cached: [None, Some(Cached::Yes), Some(Cached::No)][usize::from(number % 3)],
            };
            let _entered = tenant.enter();
            counter.add(labels, 1);
            tenant_counter.add(Tenant::current(), labels, 1);
            gauge.set(labels, f64::from(number));
            tenant_gauge.set(tenant, labels, f64::from(number));
            duration.record(labels, Duration::from_millis(u64::from(number)));
            tenant_duration.record(tenant, labels, Duration::from_millis(u64::from(number)));
            drop(level.in_flight(labels));
            Operation::start(&operations, System::Postgresql, "SELECT").succeeded();
        }
    });
    assert_eq!(total, 0);
    // Something was recorded at all.
    let text = monitoring.render();
    assert!(text.contains("test_tenant_total{tenant=\"acme\",route=\"/a\",status=\"200\"} "), "{text}");
}

#[test]
fn a_scope_and_a_record_before_the_installation_allocate_nothing() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let acme = monitoring.tenants().admit("acme");
    let not_installed = Instruments::<DatabaseInstruments>::global();
    let mut context = Context::from_waker(Waker::noop());
    let total = allocation_counter::measure(|| {
        let work = async {
            assert_eq!(Tenant::current(), acme);
            Tenant::set_current(Tenant::UNKNOWN).unwrap();
            Operation::start(&not_installed, System::Redis, "GET").succeeded();
            async { Tenant::current() }.in_current_tenant().await
        };
        let future = pin!(work.in_tenant(acme));
        assert_eq!(future.poll(&mut context), Poll::Ready(Tenant::UNKNOWN));
    });
    assert_eq!(total.count_total, 0);
}

#[test]
fn what_comes_after_the_budget_allocates_nothing_either() {
    let limits = monitoring_core::CardinalityBudget::default().per_tenant(2).combinations(20);
    let monitoring = Monitoring::builder("test").cardinality_budget(limits).build().unwrap();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let acme = monitoring.tenants().admit("acme");
    let total = allocations(|| {
        for code in 100..999 {
            let labels = Labels { route: Symbol::ABSENT, status: StatusCode::new(code), cached: None };
            counter.add(acme, labels, 1);
        }
    });
    assert_eq!(total, 0);
}
