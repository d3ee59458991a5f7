//! Ours.

use std::error::Error;
use std::time::Duration;

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{
    CardinalityBudget, LabelSet, LabelValue, Monitoring, StatusCode, Symbol, Tenant, TenantCounter, TenantHistogram,
    Tier,
};

use super::{BUCKETS, Series, Store, Texts};

/// With the tenant resolved before, once per request.
pub(crate) const HANDLE: &str = "ours, tenant handle";
/// With the tenant resolved for each record.
pub(crate) const TEXT: &str = "ours, tenant text";

const REQUESTS: Descriptor = Descriptor::counter("bench.requests", Unit::Count("{request}"), "Requests.")
    .labels(&["route", "method", "status"])
    .per_tenant();
const DURATION: Descriptor = Descriptor::histogram("bench.duration", Unit::Seconds, &BUCKETS, "Durations.")
    .labels(&["route", "method", "status"])
    .per_tenant();

#[derive(Clone, Copy, LabelValue)]
enum Method {
    #[label("GET")]
    Get,
    #[label("POST")]
    Post,
    #[label("PUT")]
    Put,
    #[label("PATCH")]
    Patch,
    #[label("DELETE")]
    Delete,
}

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    route: Symbol,
    method: Method,
    status: StatusCode,
}

/// The store, and what a service has in hand: a handle for each tenant, a symbol for each route.
pub(crate) struct Ours<'a> {
    texts: &'a Texts,
    monitoring: Monitoring,
    counters: TenantCounter<Labels>,
    histograms: TenantHistogram<Labels>,
    tenants: Vec<Tenant>,
    routes: Vec<Symbol>,
}

impl<'a> Ours<'a> {
    /// With room for so many series in each family.
    pub(crate) fn new(texts: &'a Texts, series: usize) -> Result<Self, Box<dyn Error>> {
        Self::within(texts, CardinalityBudget::default().per_family(series).bytes(1 << 30))
    }

    /// With that budget, and every tenant registered.
    pub(crate) fn within(texts: &'a Texts, budget: CardinalityBudget) -> Result<Self, Box<dyn Error>> {
        let monitoring =
            Monitoring::builder("bench").cardinality_budget(budget).max_tenants(texts.tenants.len()).build()?;
        let mut tenants = Vec::with_capacity(texts.tenants.len());
        for tenant in &texts.tenants {
            tenants.push(monitoring.tenants().register(tenant.parse()?, Tier::Standard)?);
        }
        Ok(Self {
            texts,
            counters: monitoring.registry().tenant_counter(&REQUESTS)?,
            histograms: monitoring.registry().tenant_histogram(&DURATION)?,
            routes: texts.routes.iter().map(|route| monitoring.registry().symbol(route)).collect(),
            tenants,
            monitoring,
        })
    }

    /// [`Store::record`] with the tenant given as text.
    pub(crate) fn record_by_text(&self, series: Series, duration: Duration) {
        self.record_for(self.monitoring.tenants().lookup(self.texts.tenant(series)), series, duration);
    }

    /// Counts one for whoever that is.
    pub(crate) fn count_by_text(&self, tenant: &str, series: Series) {
        self.counters.add(self.monitoring.tenants().lookup(tenant), self.labels(series), 1);
    }

    fn record_for(&self, tenant: Tenant, series: Series, duration: Duration) {
        let labels = self.labels(series);
        self.counters.add(tenant, labels, 1);
        self.histograms.record(tenant, labels, duration);
    }

    fn tenant(&self, series: Series) -> Tenant {
        self.tenants.get(series.tenant).copied().unwrap_or(Tenant::UNKNOWN)
    }

    fn labels(&self, series: Series) -> Labels {
        Labels {
            route: self.routes.get(series.route).copied().unwrap_or(Symbol::OTHER),
            method: match series.method {
                0 => Method::Get,
                1 => Method::Post,
                2 => Method::Put,
                3 => Method::Patch,
                _ => Method::Delete,
            },
            status: StatusCode::new(series.status().0),
        }
    }

    /// How many series of the counter are written out.
    pub(crate) fn series(&self) -> usize {
        let mut text = Vec::new();
        let mut lines = 0;
        for chunk in self.monitoring.exposition() {
            text.extend_from_slice(&chunk);
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let whole: Vec<u8> = text.drain(..end).collect();
            lines +=
                whole.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"bench_requests_total{")).count();
        }
        lines
    }
}

impl Store for Ours<'_> {
    fn count(&self, series: Series) {
        self.counters.add(self.tenant(series), self.labels(series), 1);
    }

    fn observe(&self, series: Series, duration: Duration) {
        self.histograms.record(self.tenant(series), self.labels(series), duration);
    }

    fn record(&self, series: Series, duration: Duration) {
        self.record_for(self.tenant(series), series, duration);
    }

    /// Each chunk is sent, and gone, before the next is made.
    fn scrape(&self, _capacity: usize) -> Result<usize, Box<dyn Error>> {
        Ok(self.monitoring.exposition().map(|chunk| chunk.len()).sum())
    }
}
