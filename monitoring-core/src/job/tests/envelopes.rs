//! Through a queue and out of it.

use std::time::{Duration, SystemTime};

use super::{samples, set_up};
use crate::{Monitoring, Tenant};

/// The number and the sum of the waits of a job.
fn waits(monitoring: &Monitoring, job: &str) -> (f64, f64) {
    let samples = samples(monitoring);
    let value = |name| samples.value(name, &[("job_name", job)]).unwrap();
    (value("saas_job_queue_wait_seconds_count"), value("saas_job_queue_wait_seconds_sum"))
}

#[tokio::test]
async fn an_envelope_brings_its_tenant_and_its_payload_through_a_queue() {
    let (monitoring, jobs, [acme, _]) = set_up();
    let envelope = acme.scope(async { jobs.envelope(7) }).await;
    assert_eq!((envelope.tenant_id(), envelope.payload()), (Some("acme"), &7));

    let work = |payload| {
        assert_eq!(Tenant::current(), acme, "before the first await");
        async move {
            assert_eq!(Tenant::current(), acme);
            Ok::<_, ()>(payload)
        }
    };
    assert_eq!(jobs.job("export").run_envelope(envelope, work).await, Ok(7));
    let labels = [("tenant", "acme"), ("job_name", "export"), ("outcome", "ok")];
    assert_eq!(samples(&monitoring).value("saas_job_runs_total", &labels), Some(1.0));
    let (count, sum) = waits(&monitoring, "export");
    assert!(count == 1.0 && (0.0..60.0).contains(&sum), "{sum}");
}

#[tokio::test]
async fn work_of_nobody_stays_so_and_work_of_a_stranger_is_unknown() {
    let (_monitoring, jobs, _) = set_up();
    let none = jobs.envelope(());
    assert_eq!(none.tenant_id(), None);
    let unknown = Tenant::UNKNOWN.scope(async { jobs.envelope(()) }).await;
    assert_eq!(unknown.tenant_id(), Some("__unknown__"));
    for (envelope, expected) in [(none, Tenant::NONE), (unknown, Tenant::UNKNOWN)] {
        let current = |()| async { Ok::<_, ()>(Tenant::current()) };
        assert_eq!(jobs.job("export").run_envelope(envelope, current).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_wait_that_cannot_be_is_bounded_and_counted_as_clock_skew() {
    let (monitoring, jobs, _) = set_up();
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let skews = || samples(&monitoring).value("saas_job_clock_skews_total", &[("job_name", "export")]).unwrap_or(0.0);

    let run = |time| jobs.job("export").enqueued_at(time).run(async {});
    run(now - hour).await;
    assert_eq!(skews(), 0.0);
    let (_, sum) = waits(&monitoring, "export");
    assert!((3_600.0..3_700.0).contains(&sum), "{sum}");

    run(now + hour).await;
    let (_, after) = waits(&monitoring, "export");
    assert_eq!((skews(), after), (1.0, sum), "the future is no wait");

    let envelope = jobs.envelope(()).enqueued_at(SystemTime::UNIX_EPOCH);
    jobs.job("export").run_envelope(envelope, |()| async {}).await;
    let (count, after) = waits(&monitoring, "export");
    assert_eq!((skews(), count), (2.0, 3.0));
    assert!((after - sum - 30.0 * 86_400.0).abs() < 1.0, "fifty years count as thirty days");
}

#[cfg(feature = "propagation")]
#[tokio::test]
async fn an_envelope_brings_its_trace_through_a_queue() {
    use crate::propagation::TraceContext;

    let (_monitoring, jobs, _) = set_up();
    let trace =
        TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("vendor=1")).unwrap();
    let envelope = trace.scope(async { jobs.envelope(()) }).await;
    assert_eq!(envelope.traceparent(), Some(trace.traceparent().as_str()));
    assert_eq!(envelope.tracestate(), Some("vendor=1"));
    let current = |()| async { Ok::<_, ()>(TraceContext::current().map(|current| current.traceparent())) };
    let carried = jobs.job("export").run_envelope(envelope, current).await;
    assert_eq!(carried, Ok(Some(trace.traceparent())));

    let none = jobs.envelope(());
    assert_eq!((none.traceparent(), none.tracestate()), (None, None));
    assert_eq!(jobs.job("export").run_envelope(none, current).await, Ok(None));
}
