//! The metrics that these tests record.

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{LabelSet, Monitoring, Symbol, Tenant, Tier};

const THINGS: Unit = Unit::Count("{thing}");

pub(crate) const PLATFORM: Descriptor =
    Descriptor::counter("truth.platform", THINGS, "Things of the platform.").labels(&["route"]);
pub(crate) const TENANTS: Descriptor =
    Descriptor::counter("truth.tenants", THINGS, "Things of tenants.").labels(&["route"]).per_tenant();
pub(crate) const LEVEL: Descriptor = Descriptor::gauge("truth.level", THINGS, "A level.").labels(&["route"]);
pub(crate) const DURATION: Descriptor =
    Descriptor::histogram("truth.duration", Unit::Seconds, &[0.001, 0.01, 0.1, 1.0, 10.0], "Durations.")
        .labels(&["route"])
        .per_tenant();
pub(crate) const NATIVE: Descriptor =
    Descriptor::histogram("truth.native", Unit::Seconds, &[0.1, 1.0], "Durations in native buckets.")
        .labels(&["route"])
        .per_tenant()
        .exponential();
pub(crate) const TIME: Descriptor =
    Descriptor::histogram("truth.time", Unit::Seconds, &[0.1, 1.0], "Times of the platform.").labels(&["route"]);
pub(crate) const SIZE: Descriptor =
    Descriptor::histogram("truth.size", Unit::Bytes, &[64.0, 1024.0, 65536.0], "Sizes.").labels(&["route"]);

/// One label whose text is made when the program runs.
#[derive(Clone, Copy, LabelSet)]
pub(crate) struct Route {
    pub(crate) route: Symbol,
}

impl Route {
    pub(crate) fn new(monitoring: &Monitoring, text: &str) -> Self {
        Self { route: monitoring.registry().symbol(text) }
    }
}

pub(crate) fn tenant(monitoring: &Monitoring, id: &str) -> Tenant {
    monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()
}
