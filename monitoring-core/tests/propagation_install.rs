//! Traces from outside, where a monitoring is installed.

use monitoring_core::Monitoring;
use monitoring_core::propagation::{InvalidTraceContext, TraceContext};

#[test]
fn a_trace_that_is_refused_is_counted_by_its_reason() {
    let headers = |traceparents: &[&str]| {
        let mut headers = http::HeaderMap::new();
        for traceparent in traceparents {
            headers.append("traceparent", traceparent.parse().unwrap());
        }
        headers
    };
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let cases = [
        (headers(&["canary"]), InvalidTraceContext::Malformed),
        (headers(&[&good.replacen("00", "ff", 1)]), InvalidTraceContext::Version),
        (headers(&["00-00000000000000000000000000000000-b7ad6b7169203331-01"]), InvalidTraceContext::Zero),
        (headers(&[good, good]), InvalidTraceContext::Several),
    ];
    assert!(TraceContext::from_headers(&headers(&["before there is a monitoring"])).is_err());
    let monitoring = Monitoring::builder("test").install().unwrap();
    for (headers, expected) in &cases {
        assert_eq!(TraceContext::from_headers(headers).unwrap_err(), *expected);
    }
    assert!(TraceContext::from_headers(&headers(&[good])).unwrap().is_some());
    assert!(TraceContext::from_headers(&headers(&[])).unwrap().is_none());

    let text = monitoring.render();
    for reason in ["malformed", "version", "zero", "several"] {
        let line = format!("monitoring_rejected_trace_contexts_total{{reason=\"{reason}\"}} 1\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("canary"));
}
