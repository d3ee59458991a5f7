//! `install` in a process of its own: before it everything is a no-op, after it everything records.

use std::time::Duration;

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{
    Counter, Histogram, InstallError, InstrumentSet, Instruments, Monitoring, Registry, RegistryError, Tenant,
    TenantCounter,
};

const CALLS: Descriptor = Descriptor::counter("acme.calls", Unit::Count("{call}"), "Calls.");
const BY_TENANT: Descriptor = Descriptor::counter("acme.tenant.calls", Unit::Count("{call}"), "Calls.").per_tenant();
const DURATION: Descriptor = Descriptor::histogram("acme.duration", Unit::Seconds, &[1.0], "Durations.");
const CLASHING: Descriptor = Descriptor::gauge("acme.calls.total", Unit::Count("{call}"), "Something else.");

struct Families {
    calls: Counter<()>,
    by_tenant: TenantCounter<()>,
    duration: Histogram<()>,
}

impl InstrumentSet for Families {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            calls: registry.counter(&CALLS)?,
            by_tenant: registry.tenant_counter(&BY_TENANT)?,
            duration: registry.histogram(&DURATION)?,
        })
    }
}

struct Clashing;

impl InstrumentSet for Clashing {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        registry.gauge::<()>(&CLASHING).map(|_gauge| Self)
    }
}

fn call(instruments: &Instruments<Families>) {
    if let Some(families) = instruments.get() {
        families.calls.add((), 1);
        families.by_tenant.add(Tenant::current(), (), 1);
        families.duration.record((), Duration::from_millis(1));
    }
}

#[test]
fn instruments_record_from_the_installation_on_and_a_second_one_changes_nothing() {
    // Before.
    let early = Instruments::<Families>::global();
    assert!(Monitoring::global().is_none());
    assert!(early.get().is_none());
    call(&early);
    call(&early.clone());
    metrics::counter!("facade_calls").increment(1);
    assert!(format!("{early:?}").contains("false"));

    // A setting that cannot be used leaves everything as it was.
    let error = Monitoring::builder("test").max_tenants(0).install().unwrap_err();
    assert!(matches!(error, InstallError::Config(_)));
    assert!(Monitoring::global().is_none() && early.get().is_none());

    // What is built for its own use is not what instruments find.
    let own = Monitoring::builder("own").build().unwrap();
    assert!(early.get().is_none());

    // After.
    let monitoring = Monitoring::builder("test").install().unwrap();
    assert_eq!(Monitoring::global().map(Monitoring::service_name), Some("test"));
    call(&early);
    call(&Instruments::global());
    call(&Instruments::of(&monitoring).unwrap());
    metrics::counter!("facade_calls").increment(1);
    metrics::gauge!("facade_level", "pool" => "main").set(2.5);
    metrics::histogram!("facade_seconds").record(0.25);

    // Twice.
    let error = Monitoring::builder("second").install().unwrap_err();
    assert_eq!(error, InstallError::AlreadyInstalled);
    assert!(error.to_string().contains("`install` once"), "{error}");
    assert_eq!(Monitoring::global().map(Monitoring::service_name), Some("test"));
    call(&early);
    metrics::counter!("facade_calls").increment(1);

    // An instrument whose families clash stays off and harms no other.
    assert!(Instruments::<Clashing>::global().get().is_none());
    assert!(Instruments::<Clashing>::of(&monitoring).is_err());

    let text = monitoring.render();
    let typed =
        ["acme_calls_total 4\n", "acme_tenant_calls_total{tenant=\"__none__\"} 4\n", "acme_duration_seconds_count 4\n"];
    let facade = ["facade_calls 2\n", "facade_level{pool=\"main\"} 2.5\n", "facade_seconds_bucket{le=\"0.25\"} 1\n"];
    for line in typed {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for line in facade {
        assert_eq!(text.contains(line), cfg!(feature = "metrics"), "{line} in\n{text}");
    }
    assert!(!own.render().contains("calls"));
}
