//! Everything the crates can measure, as constants.
//!
//! An instrument takes a [`Descriptor`]; those of our crates are all here, and an application makes its own the same way.
//! `descriptor.rs` says what a descriptor is and how its name
//! becomes a Prometheus name; `http.rs`, `database.rs` and `monitoring.rs` hold the descriptors by what they watch.
//!
//! Names follow the OpenTelemetry semantic conventions 1.44.0 where those have one; else they begin with `saas.`, or with
//! `monitoring.` if they are about the monitoring itself. Attributes that would only repeat what the target's labels say
//! (the scheme, the server's address) are left out.
//! A family that carries the tenant says so with [`Descriptor::per_tenant`]; every other family is about the whole
//! platform, and costs the same with ten tenants as with a million.

mod database;
mod descriptor;
mod http;
mod monitoring;

pub use database::*;
pub(crate) use descriptor::prometheus_label;
pub use descriptor::{Descriptor, Kind, Stability, Unit};
pub use http::*;
pub use monitoring::*;

/// The Prometheus name and the upper bounds of every histogram of the catalogue: for an exporter that has to be told them.
///
/// ```
/// let buckets: Vec<_> = monitoring_core::catalogue::histogram_buckets().collect();
/// assert!(buckets.iter().any(|(name, bounds)| name == "http_server_request_duration_seconds" && bounds.contains(&0.25)));
/// ```
pub fn histogram_buckets() -> impl Iterator<Item = (String, &'static [f64])> {
    let histograms = ALL.iter().filter(|descriptor| descriptor.kind() == Kind::Histogram);
    histograms.map(|descriptor| (descriptor.prometheus_name(), descriptor.buckets()))
}

/// Every descriptor of the catalogue.
pub const ALL: &[Descriptor] = &[
    HTTP_SERVER_REQUEST_DURATION,
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_BODY_SIZE,
    HTTP_SERVER_RESPONSE_BODY_SIZE,
    SAAS_TENANT_REQUEST_DURATION,
    SAAS_TENANT_REQUESTS,
    DB_CLIENT_OPERATION_DURATION,
    SAAS_TENANT_DB_TIME,
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_TIMEOUTS,
    DB_CLIENT_CONNECTION_WAIT_TIME,
    DB_CLIENT_CONNECTION_USE_TIME,
    TARGET_INFO,
    MONITORING_SERIES,
    MONITORING_SERIES_BYTES,
    MONITORING_SERIES_OVERFLOW,
    MONITORING_TENANTS,
    MONITORING_TENANTS_REFUSED,
    MONITORING_REJECTED_SAMPLES,
    MONITORING_COLLECT_FAILURES,
    MONITORING_DROPPED,
    MONITORING_EXPORT_FAILURES,
];
