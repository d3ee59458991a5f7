//! Tests of the store, by what they try to break.
//!
//! `series.rs`: one family of each kind, its labels and its values; `histograms.rs`: exponential buckets and exemplars;
//! `limits.rs`, `tiers.rs`, `bytes.rs`: the budgets, and what comes after them; `expiry.rs`: series that end;
//! `model.rs`, `lifetimes.rs`: random operations beside a simple model; `concurrency.rs`: threads that record, and scrapes
//! meanwhile (what threads do to one cell is explored by the models in `monitoring-core/models`); `combination.rs`,
//! `table.rs` and `blocks.rs`: the tables of combinations and of cells, and the arrays under them; `registration.rs`: what
//! cannot be registered; `collect.rs`: collectors.

mod blocks;
mod bytes;
mod collect;
mod combination;
mod concurrency;
mod expiry;
#[cfg(any(feature = "protobuf", feature = "otlp"))]
#[cfg(any(feature = "otlp", feature = "protobuf"))]
mod histograms;
mod lifetimes;
mod limits;
mod model;
mod registration;
mod series;
mod table;
mod tiers;

use monitoring_tests::exposition::Samples;

use super::{CardinalityBudget, Family, Symbol};
use crate::catalogue::{Descriptor, Unit};
use crate::tenant::{Tenant, Tier};
use crate::{LabelSet, LabelValue, Monitoring};

const THINGS: Unit = Unit::Count("{thing}");

const PLAIN: Descriptor = Descriptor::counter("test.plain", THINGS, "Things.");
const COUNTER: Descriptor = Descriptor::counter("test.counter", THINGS, "Things.").labels(&["kind", "name"]);
const TIME: Descriptor = Descriptor::counter("test.time", Unit::Seconds, "Time.").labels(&["kind", "name"]);
const TENANT_COUNTER: Descriptor =
    Descriptor::counter("test.tenant", THINGS, "Things.").labels(&["kind", "name"]).per_tenant();
const LEVEL: Descriptor = Descriptor::up_down_counter("test.level", THINGS, "Things.").labels(&["kind", "name"]);
const GAUGE: Descriptor = Descriptor::gauge("test.gauge", THINGS, "Things.").labels(&["kind", "name"]);
const TENANT_GAUGE: Descriptor =
    Descriptor::gauge("test.tenant.gauge", THINGS, "Things.").labels(&["kind", "name"]).per_tenant();
const DURATION: Descriptor =
    Descriptor::histogram("test.duration", Unit::Seconds, &[0.01, 0.1, 1.0], "Time.").labels(&["kind", "name"]);
const TENANT_DURATION: Descriptor =
    Descriptor::histogram("test.tenant.duration", Unit::Seconds, &[0.01, 0.1, 1.0], "Time.")
        .labels(&["kind", "name"])
        .per_tenant();

#[derive(Clone, Copy, Debug, PartialEq, LabelValue)]
enum Color {
    Red,
    #[label("deep blue")]
    Blue,
    #[label("")]
    None,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct Labels {
    kind: Color,
    name: Symbol,
}

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

fn limited(per_family: usize, per_tenant: usize, combinations: u32) -> Monitoring {
    Monitoring::builder("test")
        .cardinality_budget(
            CardinalityBudget::default().per_family(per_family).per_tenant(per_tenant).combinations(combinations),
        )
        .build()
        .unwrap()
}

fn tenant(monitoring: &Monitoring, id: &str) -> Tenant {
    monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()
}

fn labels(monitoring: &Monitoring, kind: Color, name: &str) -> Labels {
    Labels { kind, name: monitoring.registry().symbol(name) }
}

/// A scrape, as a reader that is not ours understands it.
fn samples(monitoring: &Monitoring) -> Samples {
    let text = monitoring.render();
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A family by the name that Prometheus knows.
fn family<'a>(monitoring: &'a Monitoring, name: &str) -> &'a Family {
    let families = (0..).map_while(|place| monitoring.registry().family_at(place));
    families.into_iter().find(|family| family.name() == name).unwrap()
}
