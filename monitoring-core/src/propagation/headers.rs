//! A trace in the headers of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::traceparent::InvalidTraceContext;
use super::{TraceContext, rejected};

/// The header with the ids of a trace and of a span in it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what vendors keep beside.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

impl TraceContext {
    /// The trace that a request says it belongs to, if it says so.
    ///
    /// Anybody can say anything: take it from peers that you trust, or for a link only.
    ///
    /// # Errors
    /// When `traceparent` breaks the rules, or is there more than once. That is counted by its reason in
    /// `monitoring_rejected_trace_contexts_total` of the monitoring that is installed, so the error may be passed over.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, InvalidTraceContext> {
        Self::read(headers).inspect_err(|reason| rejected::count(*reason))
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, InvalidTraceContext> {
        let mut parents = headers.get_all(TRACEPARENT).into_iter();
        let Some(traceparent) = parents.next() else { return Ok(None) };
        if parents.next().is_some() {
            return Err(InvalidTraceContext::Several);
        }
        let states = headers.get_all(TRACESTATE).into_iter().filter_map(|line| line.to_str().ok());
        Self::of_lines(traceparent.as_bytes().trim_ascii(), states).map(Some)
    }

    /// Writes the trace into the headers of a request, in place of what they had.
    pub fn to_headers(&self, headers: &mut HeaderMap) {
        // Both texts are of visible ASCII characters.
        let Ok(traceparent) = HeaderValue::try_from(self.traceparent()) else { return };
        headers.insert(TRACEPARENT, traceparent);
        headers.remove(TRACESTATE);
        if let Ok(tracestate) = HeaderValue::try_from(self.tracestate())
            && !tracestate.is_empty()
        {
            headers.insert(TRACESTATE, tracestate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_is_written_is_read_again_and_takes_the_place_of_what_was_there() {
        let trace = TraceContext::parse(PARENT, Some("a=1,b=2")).unwrap();
        let mut written = headers(&[("traceparent", "old"), ("traceparent", "older"), ("tracestate", "old=1")]);
        trace.to_headers(&mut written);
        assert_eq!(written.get_all(TRACEPARENT).iter().count(), 1);
        assert_eq!(TraceContext::from_headers(&written), Ok(Some(trace)));

        TraceContext::new_root().to_headers(&mut written);
        assert_eq!(written.get(TRACESTATE), None);
    }

    #[test]
    fn a_state_over_several_lines_is_one() {
        let read = headers(&[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(TraceContext::from_headers(&read).unwrap().unwrap().tracestate(), "a=1,b=2");
    }

    #[test]
    fn none_or_several_or_a_wrong_one() {
        assert_eq!(TraceContext::from_headers(&headers(&[("tracestate", "a=1")])), Ok(None));
        let several = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
        assert_eq!(TraceContext::from_headers(&several), Err(InvalidTraceContext::Several));
        let wrong = headers(&[("traceparent", "00-1-2-3")]);
        assert_eq!(TraceContext::from_headers(&wrong), Err(InvalidTraceContext::Malformed));
    }

    #[test]
    fn a_state_that_breaks_the_rules_does_not_take_the_trace_along() {
        let read = headers(&[("traceparent", PARENT), ("tracestate", "UPPER CASE=1")]);
        assert_eq!(TraceContext::from_headers(&read).unwrap().unwrap().tracestate(), "");
    }
}
