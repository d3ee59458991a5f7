//! The `Server-Timing` header: what a browser shows of the server beside its own times.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds how long the head took, in milliseconds, and which trace it belongs to, to what the application says there itself.
pub(crate) fn write(headers: &mut HeaderMap, time_to_head: Duration) {
    let milliseconds = time_to_head.as_secs_f64() * 1e3;
    let trace = trace().map(|trace| format!(", traceparent;desc=\"{trace}\"")).unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(format!("total;dur={milliseconds:.1}{trace}")) {
        headers.append(SERVER_TIMING, value);
    }
}

/// The current trace, as the header `traceparent` writes it.
#[cfg(feature = "propagation")]
fn trace() -> Option<String> {
    monitoring_core::propagation::TraceContext::current().map(|trace| trace.traceparent())
}

/// Without the feature no trace is known.
#[cfg(not(feature = "propagation"))]
fn trace() -> Option<String> {
    None
}
