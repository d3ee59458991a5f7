//! Per-tenant monitoring for multi-tenant services: the tenant model, the metric store, and its exposition.
//!
//! Most services use this crate through the instruments built on it: `monitoring-axum` for HTTP, `monitoring-sqlx` for
//! SQL, `monitoring-redis` for Redis. What they all share is here, and an application uses the same for its own metrics.
//!
//! ```
//! use std::time::Duration;
//! use monitoring_core::catalogue::{Descriptor, Unit};
//! use monitoring_core::{LabelSet, LabelValue, Monitoring, TenantHistogram, Tier};
//!
//! // What can be measured is a constant; its labels are an enum's variants, not strings.
//! const EXPORT_DURATION: Descriptor =
//!     Descriptor::histogram("acme.export.duration", Unit::Seconds, &[0.1, 1.0, 10.0], "Duration of exports.")
//!         .labels(&["format"])
//!         .per_tenant();
//!
//! #[derive(Clone, Copy, LabelValue)]
//! enum Format {
//!     Csv,
//!     Pdf,
//! }
//!
//! #[derive(Clone, Copy, LabelSet)]
//! struct ExportLabels {
//!     format: Format,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = Monitoring::builder("exports").build()?; // `install()` in a service's `main`
//! let durations: TenantHistogram<ExportLabels> = monitoring.registry().tenant_histogram(&EXPORT_DURATION)?;
//! let acme = monitoring.tenants().register("acme".parse()?, Tier::Enterprise)?;
//!
//! durations.record(acme, ExportLabels { format: Format::Csv }, Duration::from_millis(250));
//!
//! assert!(monitoring.render().contains(r#"acme_export_duration_seconds_bucket{tenant="acme",format="csv",le="1"} 1"#));
//! # let _ = Format::Pdf;
//! # Ok(()) }
//! ```
//!
//! # What is where
//! - [`Monitoring`]: set up once in `main`; readiness, shutdown.
//! - [`Tenant`], [`TenantRegistry`]: who work is done for; only registered tenants are ever named.
//! - [`Registry`] and its families ([`Counter`], [`TenantCounter`], [`Histogram`], …): the metric store.
//! - [`LabelSet`], [`LabelValue`]: labels as types.
//! - [`CardinalityBudget`], [`Tier`], [`Detail`]: how many series and bytes there may be, and who gets them.
//! - [`Exposition`], [`Format`]: the store as it is scraped, whole or what belongs to one tenant.
//! - [`Exemplar`]: the trace that a histogram's value came from; see [`Registry::exemplars_from`].
//! - [`database`]: what the SQL and Redis instruments share.
//! - [`catalogue`]: every metric that our crates emit.
//!
//! # What it costs
//! A record is an atomic add or two, without lock or allocation once its series exists; making a series takes a short lock.
//! Memory is bounded by [`CardinalityBudget`] and by [`MonitoringBuilder::max_tenants`], whatever is recorded; what is over the
//! limit goes to an overflow series and is counted, so that totals stay exact. What would take a counter or a sum past the
//! highest number is rejected and counted. Recording never panics.
//!
//! # Features
//! - `metrics` (default): what any crate records through the `metrics` facade lands in the same store. There a key is resolved
//!   anew, under a short lock, while its `tenant` is not registered or its metric has no room for another series. Or the other
//!   way round: everything goes to a recorder that the application runs, see [`MonitoringBuilder::record_into_global`].
//! - `client`: calls to other services, see the module `client`; adds `hyper-util`, `opentelemetry` and `rustls`. `reqwest` and
//!   `reqwest-middleware`: the same around the clients of these crates.
//! - `health`: checks of what the service depends on, draining, what an autoscaler looks at: see the module `health`; adds
//!   `http`, `hyper` and `rustix`. `health-tls`: certificates and `https` among them; adds `tokio-rustls` with ring,
//!   `rustls-native-certs` and `x509-parser`.
//! - `job`: background jobs, see the module `job`; with `job-serde` their envelopes can be written as JSON. Adds `tower-layer`
//!   and `tower-service`, and `serde`.
//! - `otlp`, `otlp-grpc`: the metrics can be pushed by OTLP, over HTTP or gRPC: see the module `otlp`.
//! - `propagation`: W3C trace context, see the module `propagation`; adds `opentelemetry` (its API), `http` and `rand`.
//! - `runtime`: the process, its container, its disks and its Tokio runtime are looked at: see the module `runtime`.
//! - `jemalloc`: the same of the allocator, for a process that has jemalloc.
//! - `protobuf`: [`Format`] has the Prometheus protobuf format, the one with native histograms; adds `prost`.

// The derive macros name this crate by its public name, in here too.
extern crate self as monitoring_core;

mod builder;
pub mod catalogue;
#[cfg(feature = "client")]
pub mod client;
mod config;
pub mod database;
mod dropped;
mod error;
mod exposition;
#[cfg(feature = "metrics")]
mod facade;
#[cfg(feature = "health")]
pub mod health;
mod id_table;
mod isolation;
#[cfg(feature = "job")]
pub mod job;
mod monitoring;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "propagation")]
pub mod propagation;
mod readiness;
mod request_method;
#[cfg(feature = "runtime")]
pub mod runtime;
mod shared;
mod store;
mod sync;
mod tenant;
mod variables;

pub use builder::MonitoringBuilder;
pub use dropped::{DropReason, Dropped, Signal};
pub use error::{ConfigError, InstallError, ShutdownError};
pub use exposition::{Exposition, Format};
pub use isolation::{IsolationLayer, IsolationViolations};
pub use monitoring::Monitoring;
pub use monitoring_macros::{LabelSet, LabelValue};
pub use request_method::RequestMethod;
pub use store::{
    CardinalityBudget, Collect, Counter, Exemplar, Gauge, Histogram, InFlight, InstrumentSet, Instruments,
    LABEL_SET_BITS, LabelSet, LabelValue, Measure, Registry, RegistryError, Score, StatusCode, Symbol, Symbols,
    TenantCounter, TenantGauge, TenantHistogram, UpDownCounter, UpDownEntry,
};
pub use tenant::{
    Detail, EnteredContext, EnteredTenant, OutsideScope, Tenant, TenantContext, TenantFutureExt, TenantId,
    TenantIdError, TenantRegistry, TenantRegistryError, TenantScope, Tier, UnknownTier,
};
