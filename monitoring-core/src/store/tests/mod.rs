//! Tests of the store, by what they try to break.
//!
//! `series.rs`: one family of each kind, its labels and its values; `limits.rs`: the budgets, and what comes after them;
//! `model.rs`: random operations beside a hash map; `concurrency.rs`: threads that record, and scrapes meanwhile;
//! `combination.rs` and `table.rs`: the tables of combinations and of cells; `registration.rs`: what cannot be
//! registered; `collect.rs`: collectors.

mod collect;
mod combination;
mod concurrency;
mod limits;
mod model;
mod registration;
mod series;
mod table;

use monitoring_tests::exposition::Samples;

use super::{SeriesLimits, Symbol};
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
    Monitoring::builder("test").series_limits(SeriesLimits { per_family, per_tenant, combinations }).build().unwrap()
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
