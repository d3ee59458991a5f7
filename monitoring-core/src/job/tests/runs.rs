//! One run: its outcome, its tenant, what it allocates.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::task::yield_now;
use tower::{Service, ServiceExt, service_fn};

use super::super::{Attempt, Jobs, Verdict};
use super::{runs, samples, set_up, value};
use crate::{Monitoring, Tenant};

/// Polls once, as a runtime would.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_job_gives_back_what_its_future_returns_and_counts_it_for_its_tenant() {
    let (monitoring, jobs, [acme, zeta]) = set_up();
    let done = jobs.job("export").tenant(acme).run(async { Ok::<_, &str>(7) }).await;
    let failed = jobs.job("export").tenant(zeta).run(async { Err::<u8, _>("no") }).await;
    jobs.job("export").run(async {}).await;
    assert_eq!((done, failed), (Ok(7), Err("no")));

    let samples = samples(&monitoring);
    let runs = |tenant, outcome| {
        samples.value("saas_job_runs_total", &[("tenant", tenant), ("job_name", "export"), ("outcome", outcome)])
    };
    assert_eq!(runs("acme", "ok"), Some(1.0));
    assert_eq!(runs("zeta", "failed"), Some(1.0));
    assert_eq!(runs("__none__", "ok"), Some(1.0));
    let export = ("job_name", "export");
    assert_eq!(samples.value("saas_job_duration_seconds_count", &[export, ("outcome", "ok")]), Some(2.0));
    assert_eq!(samples.value("saas_job_starts_total", &[export]), Some(3.0));
    assert_eq!(samples.value("saas_job_active", &[export]), Some(0.0));
}

#[tokio::test]
async fn an_attempt_that_fails_is_retried_and_the_last_one_is_dead() {
    let (monitoring, jobs, _) = set_up();
    for number in 1..=3 {
        let attempt = jobs.job("import").attempt(number).of(3);
        assert!(attempt.run(async { Err::<(), _>("no") }).await.is_err());
    }
    assert_eq!(runs(&monitoring, "import", "retried"), 2.0);
    assert_eq!(runs(&monitoring, "import", "dead"), 1.0);
    assert_eq!(runs(&monitoring, "import", "failed"), 0.0);
}

#[tokio::test]
async fn a_judge_decides_of_outputs_and_errors_that_do_not_tell() {
    let (monitoring, jobs, _) = set_up();
    let rows = jobs.job("count").run_judged(ready(12), |_rows| Verdict::Ok).await;
    assert_eq!(rows, 12);
    let attempt = jobs.job("count").attempt(Attempt::number(1).of(5));
    let poisoned = attempt.run_judged(ready(Err::<(), _>("not a file")), |_| Verdict::Dead).await;
    assert!(poisoned.is_err());
    assert_eq!(runs(&monitoring, "count", "ok"), 1.0);
    assert_eq!(runs(&monitoring, "count", "dead"), 1.0);
}

#[test]
fn a_run_is_active_from_its_first_poll_until_it_is_dropped_which_cancels_it() {
    let (monitoring, jobs, [acme, _]) = set_up();
    let active = || value(&monitoring, "saas_job_active", ("job_name", "export"));
    {
        let mut run = pin!(jobs.job("export").tenant(acme).run(pending::<()>()));
        assert_eq!(active(), None, "it has not begun");
        assert!(poll_once(run.as_mut()).is_pending());
        assert!(poll_once(run.as_mut()).is_pending());
        assert_eq!(active(), Some(1.0));
        assert_eq!(value(&monitoring, "saas_job_starts_total", ("job_name", "export")), Some(1.0));
    }
    assert_eq!(active(), Some(0.0));
    assert_eq!(runs(&monitoring, "export", "cancelled"), 1.0);
    // What never began is no run.
    drop(jobs.job("export").run(pending::<()>()));
    assert_eq!(runs(&monitoring, "export", "cancelled"), 1.0);
}

#[test]
fn a_panic_is_a_failure_by_its_attempt_counted_once_and_resumed() {
    let (monitoring, jobs, [acme, _]) = set_up();
    for (number, outcome) in [(1, "retried"), (2, "dead")] {
        let mut run = Box::pin(jobs.job("import").tenant(acme).attempt(number).of(2).run(async {
            panic!("in a job");
            #[expect(unreachable_code, reason = "it says what the job would return")]
            Ok::<(), ()>(())
        }));
        let panic = catch_unwind(AssertUnwindSafe(|| poll_once(run.as_mut()))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in a job"));
        drop(run);
        assert_eq!(runs(&monitoring, "import", outcome), 1.0);
    }
    assert_eq!(runs(&monitoring, "import", "cancelled"), 0.0);
    assert_eq!(value(&monitoring, "saas_job_panics_total", ("job_name", "import")), Some(2.0));
    assert_eq!(value(&monitoring, "saas_job_active", ("job_name", "import")), Some(0.0));
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[test]
fn a_run_that_is_dropped_while_something_else_panics_is_cancelled() {
    let (monitoring, jobs, _) = set_up();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Box::pin(jobs.job("export").run(pending::<()>()));
        assert!(poll_once(run.as_mut()).is_pending());
        panic!("elsewhere");
    }));
    assert!(unwound.is_err());
    assert_eq!(runs(&monitoring, "export", "cancelled"), 1.0);
    assert_eq!(value(&monitoring, "saas_job_panics_total", ("job_name", "export")), None);
}

#[tokio::test]
async fn a_run_belongs_to_the_tenant_that_it_has_named_last_also_in_its_destructors() {
    struct Noted(Arc<Mutex<Vec<Tenant>>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(Tenant::current());
        }
    }

    let (monitoring, jobs, [acme, zeta]) = set_up();
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let work = |noted: Noted| async move {
        let _noted = noted;
        assert_eq!(Tenant::current(), acme);
        Tenant::set_current(zeta).unwrap();
        yield_now().await;
        assert_eq!(Tenant::current(), zeta);
    };
    jobs.job("export").tenant(acme).run(work(Noted(Arc::clone(&seen)))).await;
    let mut given_up = Box::pin(jobs.job("export").tenant(acme).run(work(Noted(Arc::clone(&seen)))));
    assert!(poll_once(given_up.as_mut()).is_pending());
    drop(given_up);

    assert_eq!(*seen.lock().unwrap(), [zeta, zeta]);
    let samples = samples(&monitoring);
    assert_eq!(samples.sum("saas_job_runs_total", &[("tenant", "zeta")]), 2.0);
    assert_eq!(samples.sum("saas_job_runs_total", &[("tenant", "acme")]), 0.0);
}

#[test]
fn a_run_allocates_nothing_once_its_series_exist() {
    let (monitoring, jobs, [acme, _]) = set_up();
    let run_all = || {
        let done = pin!(jobs.job("export").tenant(acme).attempt(1).of(5).run(async { Ok::<_, ()>(7) }));
        assert!(poll_once(done).is_ready());
        let failed = pin!(jobs.job("export").tenant(acme).run(async { Err::<(), _>(()) }));
        assert!(poll_once(failed).is_ready());
        let dropped = pin!(jobs.job("export").tenant(acme).run(pending::<()>()));
        assert!(poll_once(dropped).is_pending());
    };
    run_all();
    assert_eq!(allocation_counter::measure(run_all).count_total, 0);
    assert!(size_of_val(&jobs.job("export").run(ready(()))) < 200);
    assert_eq!(runs(&monitoring, "export", "ok"), 2.0);
}

#[tokio::test]
async fn without_a_monitoring_a_job_runs_with_its_tenant_and_records_nothing() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let acme = monitoring.tenants().admit("acme");
    let off = Jobs { instruments: crate::Instruments::global() };
    let current = off.job("export").tenant(acme).run(async { Ok::<_, ()>(Tenant::current()) }).await;
    assert_eq!(current, Ok(acme));
    assert!(!monitoring.render().contains("saas_job"));
}

#[tokio::test]
async fn a_layer_makes_each_request_a_run_with_the_tenant_and_attempt_of_the_request() {
    let (monitoring, jobs, [acme, zeta]) = set_up();
    let service = service_fn(move |tenant: Tenant| {
        assert_eq!(Tenant::current(), tenant, "before the first poll");
        async move {
            yield_now().await;
            assert_eq!(Tenant::current(), tenant);
            if tenant == zeta { Err("no") } else { Ok(7) }
        }
    });
    let layer = jobs.layer("export").tenant(|tenant: &Tenant| *tenant).attempt(|_: &Tenant| Attempt::number(5).of(5));
    let mut service = tower::Layer::layer(&layer, service);
    assert_eq!(service.ready().await.unwrap().call(acme).await, Ok(7));
    assert_eq!(service.ready().await.unwrap().call(zeta).await, Err("no"));

    let samples = samples(&monitoring);
    let runs = |tenant, outcome| {
        samples.value("saas_job_runs_total", &[("tenant", tenant), ("job_name", "export"), ("outcome", outcome)])
    };
    assert_eq!((runs("acme", "ok"), runs("zeta", "dead")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn a_layer_without_options_takes_the_current_tenant_and_knows_no_attempts() {
    let (monitoring, jobs, [acme, _]) = set_up();
    let service =
        tower::ServiceBuilder::new().layer(jobs.layer("export")).service(service_fn(|()| async { Err::<(), _>("no") }));
    assert!(acme.scope(service.oneshot(())).await.is_err());
    let labels = [("tenant", "acme"), ("job_name", "export"), ("outcome", "failed")];
    assert_eq!(samples(&monitoring).value("saas_job_runs_total", &labels), Some(1.0));
}

#[test]
fn nothing_of_a_payload_or_a_request_is_shown_by_debug() {
    let (_monitoring, jobs, [acme, _]) = set_up();
    let envelope = acme.enter();
    let envelope = (jobs.envelope("a secret"), envelope).0;
    let shown =
        format!("{envelope:?} {:?} {:?}", jobs.job("export").run(ready(Ok::<_, ()>("a secret"))), jobs.layer("x"));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("export"), "{shown}");
}
