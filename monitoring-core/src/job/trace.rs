//! The trace of a job, over a queue.

#[cfg(feature = "propagation")]
use crate::propagation::TraceContext;

type Text = Option<Box<str>>;

/// The `traceparent` and `tracestate` of the current trace.
#[cfg(feature = "propagation")]
pub(super) fn current_trace() -> (Text, Text) {
    let Some(trace) = TraceContext::current() else { return (None, None) };
    let state = trace.tracestate();
    (Some(trace.traceparent().into()), (!state.is_empty()).then(|| state.into()))
}

/// `work`, as part of that trace; if it is none, as part of the current one.
#[cfg(feature = "propagation")]
pub(super) async fn in_trace<F: Future>(traceparent: Text, tracestate: Text, work: F) -> F::Output {
    let trace = traceparent.and_then(|traceparent| TraceContext::parse(&traceparent, tracestate.as_deref()).ok());
    match trace {
        Some(trace) => trace.scope(work).await,
        None => work.await,
    }
}

/// Without the feature `propagation` nothing is known of traces.
#[cfg(not(feature = "propagation"))]
pub(super) fn current_trace() -> (Text, Text) {
    (None, None)
}

/// `work`, as it is.
#[cfg(not(feature = "propagation"))]
pub(super) fn in_trace<F: Future>(_traceparent: Text, _tracestate: Text, work: F) -> F {
    work
}
