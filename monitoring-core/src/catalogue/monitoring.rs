//! The monitoring itself.

use super::{Descriptor, Stability, Unit};

/// The service that is measured.
pub const TARGET_INFO: Descriptor =
    Descriptor::gauge("target.info", Unit::Count("{target}"), "The service that this process is part of; always 1.")
        .labels(&["service.name"])
        .convention(Stability::Stable, "OpenTelemetry specification 1.60.0, Prometheus and OpenMetrics Compatibility");

/// Series that a family holds.
pub const MONITORING_SERIES: Descriptor =
    Descriptor::gauge("monitoring.series", Unit::Count("{series}"), "Series held in memory by family.")
        .labels(&["family"]);

/// The memory of a family.
pub const MONITORING_SERIES_BYTES: Descriptor =
    Descriptor::gauge("monitoring.series.bytes", Unit::Bytes, "Memory that the series of a family take.")
        .labels(&["family"]);

/// What was folded into an overflow series.
pub const MONITORING_SERIES_OVERFLOW: Descriptor = Descriptor::counter(
    "monitoring.series.overflow",
    Unit::Count("{record}"),
    "Records that went to an overflow series because the family's budget of series was used up.",
)
.labels(&["family"]);

/// Tenants that are registered.
pub const MONITORING_TENANTS: Descriptor =
    Descriptor::gauge("monitoring.tenants", Unit::Count("{tenant}"), "Tenants that are registered.");

/// Registrations that found no room.
pub const MONITORING_TENANTS_REFUSED: Descriptor = Descriptor::counter(
    "monitoring.tenants.refused",
    Unit::Count("{registration}"),
    "Registrations of tenants that were refused because there are as many as MONITORING_MAX_TENANTS allows.",
);

/// What was not recorded because it was no legal value.
pub const MONITORING_REJECTED_SAMPLES: Descriptor = Descriptor::counter(
    "monitoring.rejected_samples",
    Unit::Count("{sample}"),
    "Values that were not recorded because they were illegal.",
)
.labels(&["reason"]);

/// What was refused of what requests said of their trace.
pub const MONITORING_REJECTED_TRACE_CONTEXTS: Descriptor = Descriptor::counter(
    "monitoring.rejected_trace_contexts",
    Unit::Count("{request}"),
    "Requests whose trace was not followed because their traceparent breaks the rules.",
)
.labels(&["reason"]);

/// What was thrown away in place of being handed on.
pub const MONITORING_DROPPED: Descriptor = Descriptor::counter(
    "monitoring.dropped",
    Unit::Count("{item}"),
    "Items that were not handed on: scrapes refused or cut off, and what found no room on its way out.",
)
.labels(&["signal", "reason"]);

/// Requests to a collector that failed.
pub const MONITORING_EXPORT_FAILURES: Descriptor = Descriptor::counter(
    "monitoring.export.failures",
    Unit::Count("{request}"),
    "Requests to a collector that failed, be they tried again or not.",
)
.labels(&["signal"]);

/// Collectors that failed.
pub const MONITORING_COLLECT_FAILURES: Descriptor = Descriptor::counter(
    "monitoring.collect.failures",
    Unit::Count("{failure}"),
    "Collectors that panicked, and scrapes that did not wait for one that hangs; the rest was served.",
);
