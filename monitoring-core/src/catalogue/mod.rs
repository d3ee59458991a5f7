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

mod browser;
mod cache;
mod client;
mod database;
mod descriptor;
mod health;
mod http;
mod isolation;
mod job;
mod monitoring;
mod process;

pub use browser::*;
pub use cache::*;
pub use client::*;
pub use database::*;
pub(crate) use descriptor::prometheus_label;
pub use descriptor::{Descriptor, Kind, Stability, Unit};
pub use health::*;
pub use http::*;
pub use isolation::*;
pub use job::*;
pub use monitoring::*;
pub use process::*;

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
    SAAS_HTTP_SERVER_TIME_TO_HEAD,
    SAAS_HTTP_UPGRADED_CONNECTIONS,
    SAAS_HTTP_UPGRADED_CONNECTION_DURATION,
    RPC_SERVER_CALL_DURATION,
    SAAS_TENANT_REQUEST_DURATION,
    SAAS_TENANT_REQUESTS,
    SAAS_TENANT_APDEX_REQUESTS,
    SAAS_BROWSER_LARGEST_CONTENTFUL_PAINT,
    SAAS_BROWSER_INTERACTION_TO_NEXT_PAINT,
    SAAS_BROWSER_CUMULATIVE_LAYOUT_SHIFT,
    SAAS_TENANT_WEB_VITALS,
    SAAS_TENANT_SCRIPT_ERRORS,
    SAAS_RATELIMIT_DECISIONS,
    SAAS_TENANT_ISOLATION_VIOLATIONS,
    HTTP_CLIENT_REQUEST_DURATION,
    HTTP_CLIENT_ACTIVE_REQUESTS,
    SAAS_TENANT_DEPENDENCY_TIME,
    DB_CLIENT_OPERATION_DURATION,
    DB_CLIENT_RESPONSE_RETURNED_ROWS,
    SAAS_DB_SLOW_QUERIES,
    SAAS_DB_NOTIFICATIONS,
    SAAS_DB_LISTENER_DISCONNECTS,
    SAAS_TENANT_DB_TIME,
    SAAS_DB_TRANSACTION_DURATION,
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_TIMEOUTS,
    DB_CLIENT_CONNECTION_WAIT_TIME,
    DB_CLIENT_CONNECTION_USE_TIME,
    SAAS_CACHE_REQUESTS,
    SAAS_DB_CONNECTIONS_CREATED,
    SAAS_PUBSUB_MESSAGES,
    SAAS_DEPENDENCY_UP,
    SAAS_DEPENDENCY_CHECK_DURATION,
    SAAS_TLS_CERTIFICATE_NOT_AFTER,
    SAAS_AUTOSCALE_SIGNAL,
    SAAS_JOB_DURATION,
    SAAS_JOB_RUNS,
    SAAS_JOB_STARTS,
    SAAS_JOB_ENDS,
    SAAS_JOB_ACTIVE,
    SAAS_JOB_PANICS,
    SAAS_JOB_LAST_SUCCESS,
    SAAS_JOB_EXPECTED_INTERVAL,
    SAAS_JOB_EXPECTED_SINCE,
    SAAS_JOB_MISSED_RUNS,
    SAAS_JOB_QUEUE_WAIT,
    SAAS_JOB_CLOCK_SKEWS,
    SAAS_JOB_QUEUE_DEPTH,
    SAAS_JOB_QUEUE_AGE,
    SAAS_JOB_QUEUE_UP,
    SAAS_BACKUP_LAST_SUCCESS,
    SAAS_BACKUP_SIZE,
    SAAS_BACKUP_RUNS,
    SAAS_RESTORE_TEST_LAST_SUCCESS,
    SAAS_RESTORE_TEST_RUNS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    PROCESS_MEMORY_VIRTUAL,
    PROCESS_THREAD_COUNT,
    PROCESS_UNIX_FILE_DESCRIPTOR_COUNT,
    SAAS_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT,
    PROCESS_UPTIME,
    PROCESS_START_TIME,
    SAAS_RUNTIME_ALLOCATOR_BYTES,
    SAAS_TOKIO_WORKERS,
    SAAS_TOKIO_BUSY_TIME,
    SAAS_TOKIO_TASKS,
    SAAS_TOKIO_GLOBAL_QUEUE_DEPTH,
    SAAS_TOKIO_SCHEDULING_DELAY,
    SAAS_TOKIO_STALLS,
    SAAS_TOKIO_STALL_TIME,
    SAAS_TOKIO_LONG_POLLS,
    SAAS_TOKIO_BLOCKING_THREADS,
    SAAS_TOKIO_BLOCKING_QUEUE_DEPTH,
    SAAS_TOKIO_BLOCKING_WAIT,
    SAAS_TOKIO_BLOCKING_RUN,
    SAAS_TOKIO_BLOCKING_POOL_THREADS,
    SAAS_TOKIO_FORCED_YIELDS,
    SAAS_CONTAINER_CPU_LIMIT,
    SAAS_CONTAINER_CPU_TIME,
    SAAS_CONTAINER_CPU_PERIODS,
    SAAS_CONTAINER_CPU_THROTTLED_PERIODS,
    SAAS_CONTAINER_CPU_THROTTLED_TIME,
    SAAS_CONTAINER_MEMORY_USAGE,
    SAAS_CONTAINER_MEMORY_LIMIT,
    SAAS_CONTAINER_MEMORY_OOM_KILLS,
    SAAS_CONTAINER_THREADS,
    SAAS_CONTAINER_THREAD_LIMIT,
    SYSTEM_FILESYSTEM_USAGE,
    SYSTEM_FILESYSTEM_LIMIT,
    SAAS_FILESYSTEM_AGE,
    SAAS_RESOURCE_USAGE,
    SAAS_RESOURCE_LIMIT,
    TARGET_INFO,
    MONITORING_SERIES,
    MONITORING_SERIES_BYTES,
    MONITORING_SERIES_OVERFLOW,
    MONITORING_TENANTS,
    MONITORING_TENANTS_REFUSED,
    MONITORING_REJECTED_SAMPLES,
    MONITORING_REJECTED_TRACE_CONTEXTS,
    MONITORING_COLLECT_FAILURES,
    MONITORING_DROPPED,
    MONITORING_EXPORT_FAILURES,
];
