//! The trace that work belongs to.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

use super::traceparent::{InvalidTraceContext, parse, parse_state};

/// A place in a trace: the trace's id, the id of the span that work belongs to, whether it is sampled, and what vendors keep
/// in `tracestate`.
///
/// ```
/// use monitoring_core::propagation::TraceContext;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let trace = TraceContext::parse(text, Some("vendor=1"))?;
/// assert_eq!((trace.traceparent().as_str(), trace.tracestate().as_str()), (text, "vendor=1"));
/// assert_eq!(trace.child().trace_id(), trace.trace_id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct TraceContext {
    span: SpanContext,
}

impl TraceContext {
    /// The trace of the work that runs: that of the current `opentelemetry::Context`, if it has a span.
    pub fn current() -> Option<Self> {
        Self::of(&Context::current())
    }

    pub(super) fn of(context: &Context) -> Option<Self> {
        context.span().span_context().clone().try_into().ok()
    }

    /// A new trace, with ids of the process' random generator. It is not sampled: that is for who makes spans to decide.
    pub fn new_root() -> Self {
        let trace = TraceId::from(rand::random_range(1..=u128::MAX));
        Self { span: SpanContext::new(trace, new_span(), TraceFlags::NOT_SAMPLED, false, Default::default()) }
    }

    /// A new span in the same trace, whose parent this is: what a call to another service carries.
    #[must_use]
    pub fn child(&self) -> Self {
        let Self { span } = self;
        let state = span.trace_state().clone();
        Self { span: SpanContext::new(span.trace_id(), new_span(), span.trace_flags(), false, state) }
    }

    /// Reads the texts of the headers `traceparent` and `tracestate`. Of the latter is left out what is [too much](super), and
    /// all of it when it breaks the rules.
    ///
    /// # Errors
    /// When the former breaks the rules.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Result<Self, InvalidTraceContext> {
        Self::of_lines(traceparent.as_bytes(), tracestate)
    }

    pub(super) fn of_lines<'a>(
        traceparent: &[u8],
        tracestate: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidTraceContext> {
        let (trace, span, flags) = parse(traceparent)?;
        Ok(Self { span: SpanContext::new(trace, span, flags, true, parse_state(tracestate)) })
    }

    /// The text of the header `traceparent`.
    pub fn traceparent(&self) -> String {
        let Self { span } = self;
        format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8() & 1)
    }

    /// The text of the header `tracestate`; empty if there is none.
    pub fn tracestate(&self) -> String {
        self.span.trace_state().header()
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> TraceId {
        self.span.trace_id()
    }

    /// The id of the span.
    pub fn span_id(&self) -> SpanId {
        self.span.span_id()
    }

    /// Whether who made the span keeps it.
    pub fn is_sampled(&self) -> bool {
        self.span.is_sampled()
    }

    /// The same for OpenTelemetry's API.
    pub fn span_context(&self) -> &SpanContext {
        &self.span
    }
}

impl TryFrom<SpanContext> for TraceContext {
    type Error = InvalidTraceContext;

    /// # Errors
    /// When an id is all zeros, as that of a span that is none.
    fn try_from(span: SpanContext) -> Result<Self, InvalidTraceContext> {
        if span.is_valid() { Ok(Self { span }) } else { Err(InvalidTraceContext::Zero) }
    }
}

impl fmt::Debug for TraceContext {
    /// Leaves the text of `tracestate` out: others have written it, and it may be anything.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TraceContext")
            .field("traceparent", &self.traceparent())
            .field("has_tracestate", &!self.tracestate().is_empty())
            .finish_non_exhaustive()
    }
}

fn new_span() -> SpanId {
    SpanId::from(rand::random_range(1..=u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_ids_and_nothing_of_the_state() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::parse(text, Some("vendor=canary")).unwrap();
        assert_eq!(trace.tracestate(), "vendor=canary");
        let shown = format!("{trace:?} {:?}", trace.scope(std::future::ready(())));
        assert!(shown.contains(text) && shown.contains("has_tracestate: true") && !shown.contains("canary"), "{shown}");
    }
}
