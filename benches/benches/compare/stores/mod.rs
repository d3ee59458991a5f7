//! The stores that are compared: each has a counter and a histogram with the labels tenant, route, method and status,
//! recorded as its documentation shows, in the fastest of the ways that it shows.
//!
//! `ours.rs`, then one file for each peer; `floors.rs` is what no store can beat.

pub(crate) mod floors;
pub(crate) mod measured;
pub(crate) mod metrics_exporter;
pub(crate) mod opentelemetry;
pub(crate) mod ours;
pub(crate) mod prometheus;
pub(crate) mod prometheus_client;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use monitoring_benches::Kind;

/// The upper bounds of the histogram's buckets, in seconds.
pub(crate) const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What everybody calls the counter, and who has no say in it appends `_total`.
pub(crate) const COUNTER: &str = "bench_requests";
/// What everybody calls the histogram.
pub(crate) const HISTOGRAM: &str = "bench_duration_seconds";

pub(crate) const ROUTES: usize = 20;
pub(crate) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
pub(crate) const STATUSES: [(u16, &str); 10] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (302, "302"),
    (400, "400"),
    (401, "401"),
    (404, "404"),
    (409, "409"),
    (429, "429"),
    (500, "500"),
];

/// The texts of the labels, which the application holds anyway: no store is charged for them.
pub(crate) struct Texts {
    pub(crate) tenants: Vec<String>,
    pub(crate) routes: Vec<Arc<str>>,
}

impl Texts {
    pub(crate) fn new(tenants: usize) -> Self {
        Self {
            tenants: (0..tenants).map(|tenant| format!("tenant-{tenant:06}")).collect(),
            routes: (0..ROUTES).map(|route| format!("/v1/resource{route}/{{id}}").into()).collect(),
        }
    }

    pub(crate) fn tenant(&self, series: Series) -> &str {
        self.tenants.get(series.tenant).map_or("", String::as_str)
    }

    pub(crate) fn route(&self, series: Series) -> &str {
        self.routes.get(series.route).map_or("", |route| route)
    }

    pub(crate) fn shared_route(&self, series: Series) -> Arc<str> {
        self.routes.get(series.route).map_or_else(|| Arc::from(""), Arc::clone)
    }
}

/// The labels of a series, as places in the lists of texts.
#[derive(Clone, Copy)]
pub(crate) struct Series {
    pub(crate) tenant: usize,
    pub(crate) route: usize,
    pub(crate) method: usize,
    pub(crate) status: usize,
}

impl Series {
    /// The combination of a tenant's labels with that number.
    pub(crate) fn of(tenant: usize, combination: usize) -> Self {
        let (rest, route) = (combination / ROUTES, combination % ROUTES);
        Self { tenant, route, method: rest % METHODS.len(), status: rest / METHODS.len() }
    }

    /// The number of the combination of the labels besides the tenant.
    pub(crate) fn combination(self) -> usize {
        (self.status * METHODS.len() + self.method) * ROUTES + self.route
    }

    pub(crate) fn method(self) -> &'static str {
        METHODS.get(self.method).copied().unwrap_or_default()
    }

    pub(crate) fn status(self) -> (u16, &'static str) {
        STATUSES.get(self.status).copied().unwrap_or_default()
    }
}

/// A counter and a histogram with the labels tenant, route, method and status.
pub(crate) trait Store: Sync {
    /// Counts one.
    fn count(&self, series: Series);

    /// Records a duration.
    fn observe(&self, series: Series, duration: Duration);

    /// Both, as for a request: what can be shared between them is.
    fn record(&self, series: Series, duration: Duration) {
        self.count(series);
        self.observe(series, duration);
    }

    /// What a service does every few seconds besides.
    fn maintain(&self) {}

    /// Writes everything in the Prometheus text format, and says how many bytes that was. Who writes into a buffer gets
    /// one of that capacity, so that nobody pays for its growth.
    fn scrape(&self, capacity: usize) -> Result<usize, Box<dyn Error>>;
}

/// Makes a store with room for that many series in each family.
type Make = for<'a> fn(&'a Texts, usize) -> Made<'a>;
type Made<'a> = Result<Box<dyn Store + 'a>, Box<dyn Error>>;

/// A store that is compared.
pub(crate) struct Product {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) make: Make,
}

/// Ours, the peers, and the bound.
pub(crate) const PRODUCTS: [Product; 7] = [
    Product { name: "ours", kind: Kind::Ours, make: |texts, series| Ok(Box::new(ours::Ours::new(texts, series)?)) },
    Product {
        name: metrics_exporter::NAME,
        kind: Kind::Peer,
        make: |texts, _| Ok(Box::new(metrics_exporter::Exporter::new(texts)?)),
    },
    Product {
        name: opentelemetry::NAME,
        kind: Kind::Peer,
        make: |texts, series| Ok(Box::new(opentelemetry::OpenTelemetry::new(texts, series)?)),
    },
    Product {
        name: prometheus::NAME,
        kind: Kind::Peer,
        make: |texts, _| Ok(Box::new(prometheus::Prometheus::new(texts)?)),
    },
    Product {
        name: prometheus_client::NAME,
        kind: Kind::Peer,
        make: |texts, _| Ok(Box::new(prometheus_client::PrometheusClient::new(texts))),
    },
    Product { name: measured::NAME, kind: Kind::Peer, make: |texts, _| Ok(Box::new(measured::Measured::new(texts))) },
    Product {
        name: floors::IN_HAND,
        kind: Kind::Floor,
        make: |texts, series| Ok(Box::new(floors::Dense::new(texts, series))),
    },
];
