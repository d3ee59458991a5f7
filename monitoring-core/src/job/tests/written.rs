//! Envelopes that were written by somebody.

use std::time::SystemTime;

use super::super::{JobEnvelope, Jobs};
use super::{runs, samples, set_up};
use crate::{Monitoring, Tenant};

fn received(json: &str) -> JobEnvelope<u32> {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_hostile_or_unregistered_tenant_is_unknown_and_makes_no_series() {
    let (monitoring, jobs, _) = set_up();
    let long = "x".repeat(1_000_000);
    for id in ["stranger", "__none__", "__other__", "", "a\\\"b", "../../etc", long.as_str()] {
        let envelope = received(&format!(r#"{{"tenant":"{id}","enqueued_at_ms":0,"payload":1,"more":[]}}"#));
        for job in [jobs.job("export"), jobs.job("export").trusting_queue()] {
            let current = job.run_envelope(envelope.clone(), |_| async { Ok::<_, ()>(Tenant::current()) }).await;
            assert_eq!(current, Ok(Tenant::UNKNOWN));
        }
    }
    let labels = [("tenant", "__unknown__"), ("job_name", "export"), ("outcome", "ok")];
    assert_eq!(samples(&monitoring).value("saas_job_runs_total", &labels), Some(14.0));
    assert_eq!(runs(&monitoring, "export", "ok"), 14.0);
}

#[tokio::test]
async fn a_trusted_queue_may_name_a_tenant_that_was_never_seen() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let jobs = Jobs::of(&monitoring).unwrap();
    let envelope = received(r#"{"tenant":"acme","enqueued_at_ms":0,"payload":1}"#);
    let untrusted = jobs.job("export").run_envelope(envelope.clone(), |_| async { Ok::<_, ()>(Tenant::current()) });
    assert_eq!(untrusted.await, Ok(Tenant::UNKNOWN));
    let job = jobs.job("export").trusting_queue();
    let trusted = job.run_envelope(envelope, |_| async { Ok::<_, ()>(Tenant::current()) }).await;
    assert_eq!(trusted, Ok(monitoring.tenants().lookup("acme")));
    assert!(monitoring.tenants().lookup("acme").is_known());
}

#[test]
fn an_envelope_is_the_same_after_it_was_written_and_read() {
    let (_monitoring, jobs, [acme, _]) = set_up();
    let _entered = acme.enter();
    let envelope = jobs.envelope(7_u32);
    let json = serde_json::to_string(&envelope).unwrap();
    assert_eq!(received(&json), envelope);
    let plain = serde_json::to_string(&JobEnvelope::enqueued_at(envelope, SystemTime::UNIX_EPOCH)).unwrap();
    assert!(plain.contains(r#""tenant":"acme""#) && plain.contains(r#""enqueued_at_ms":0,"payload":7}"#), "{plain}");
}

#[cfg(feature = "propagation")]
#[tokio::test]
async fn a_trace_that_is_none_is_left_out_and_the_job_runs() {
    use crate::propagation::TraceContext;

    let (_monitoring, jobs, _) = set_up();
    let envelope = received(r#"{"traceparent":"00-zz","tracestate":"\u0000","enqueued_at_ms":0,"payload":1}"#);
    let current = |_| async { Ok::<_, ()>(TraceContext::current()) };
    assert_eq!(jobs.job("export").run_envelope(envelope, current).await, Ok(None));
}
