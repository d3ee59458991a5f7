//! The push of the metrics by OTLP, to an OpenTelemetry collector or to a backend that takes it, such as Mimir.
//!
//! It is off until asked for: by `OTEL_METRICS_EXPORTER=otlp` with [`Monitoring::from_env`](crate::Monitoring::from_env), or
//! by [`MonitoringBuilder::otlp`](crate::MonitoringBuilder::otlp). What is pushed is what `/metrics` shows, under the
//! OpenTelemetry names and units of the [`catalogue`](crate::catalogue); the tenant is the attribute `tenant`.
//!
//! # Environment
//! As the OpenTelemetry specification names them. Where there is a variable for the metrics alone, such as
//! `OTEL_EXPORTER_OTLP_METRICS_TIMEOUT`, it comes before the one for all signals.
//!
//! | variable | means | default |
//! |---|---|---|
//! | `OTEL_METRICS_EXPORTER` | `otlp` pushes; `prometheus` and `none` do not; a list is allowed | `prometheus` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where to, without `?` and `#`; `/v1/metrics` is added for HTTP | `http://localhost:4318`, `:4317` for gRPC |
//! | `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | the same, taken as it is | |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, or `grpc` (feature `otlp-grpc`) | `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `name=value,…`, values percent-encoded | none |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds for one request; 0 is a day | 10 000 |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip` or `none` | `none` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | PEM file of the authorities to trust | those of the system |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` | PEM files of the service's own certificate and key (mutual TLS) | none |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds from one export to the next; less than [`CardinalityBudget::idle_after`](crate::CardinalityBudget::idle_after) | 60 000 |
//! | `OTEL_METRIC_EXPORT_TIMEOUT` | milliseconds for which the same points are tried; 0 is a day | 30 000 |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta` or `lowmemory` | `cumulative` |
//! | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `explicit_bucket_histogram` or `base2_exponential_bucket_histogram` | explicit |
//! | `OTEL_RESOURCE_ATTRIBUTES` | `name=value,…`, percent-encoded | none |
//! | `OTEL_SERVICE_NAME` | the service's name; comes before `service.name` of the former | the one in code |
//! | `MONITORING_OTLP_TENANT_HEADER` | a request for each tenant, named by this header, such as `X-Scope-OrgID` | none: shared |
//!
//! # What it costs, and what happens when the collector is away
//! The push has a thread and, during an export, a Tokio runtime of its own; it needs none of the application's, and
//! neither blocks nor slows down what records. The store is read in requests of at most 2 000 points and about 1 MiB, one
//! under way at a time: that is all the memory it takes, however many series there are and however long the collector is
//! away, but for [`Temporality::Delta`].
//!
//! A request that fails is tried again with growing pauses, as long as its answer allows it and
//! [`export_timeout`](OtlpConfig::export_timeout) lasts. Then the export is given up: what was in the request is counted in
//! `monitoring_dropped_total`, each failed request in `monitoring_export_failures_total`; the rest of the store is not read,
//! and counted nowhere. Nothing that was counted is lost thereby: the next export has the totals, and a delta is added to
//! the next delta, with the two exceptions that [`Temporality::Delta`] names; only what ended meanwhile, because nobody had
//! recorded into it for the [budget's](crate::CardinalityBudget::idle_after) hour, was not told. While the collector is away
//! it is tried at least every eight seconds between exports; the log has one line when an export is given up and one when
//! an export has arrived again, and the same for what is refused of the rest.
//! [`Monitoring::otlp_status`](crate::Monitoring::otlp_status) has the balance.
//!
//! # Where is what
//! `config.rs` and `environment.rs` say how it is set up; `exporter.rs` is the thread, `quiet.rs` keeps it from being traced, `export.rs` one export, `batch.rs`
//! the store as requests, `point.rs` a series as a data point, `names.rs` what metrics are called, `acknowledged.rs` what deltas are counted from;
//! `resource.rs` says who sends, `account.rs` keeps the balance; `transport/` sends a request and understands its answer.

mod account;
mod acknowledged;
mod batch;
mod config;
mod environment;
mod export;
mod exporter;
mod names;
mod point;
mod quiet;
mod resource;
#[cfg(test)]
mod tests;
mod transport;

pub use account::OtlpStatus;
pub use config::{OtlpCompression, OtlpConfig, OtlpProtocol, Temporality};
pub(crate) use exporter::Exporter;
