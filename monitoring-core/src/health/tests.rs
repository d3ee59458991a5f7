//! Checks that pass, fail, hang, panic and recover, on a clock that stands still until it is waited for.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::Monitoring;

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

/// Waits, on the clock of the test, until it is so; for an hour at most.
async fn until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(3600), "it did not become so");
        sleep(Duration::from_millis(10)).await;
    }
}

fn reason(monitoring: &Monitoring) -> Option<Reason> {
    monitoring.health_report().checks.first()?.problem.as_ref().map(Problem::reason)
}

#[tokio::test(start_paused = true)]
async fn a_service_is_not_ready_before_its_critical_dependencies_were_reached() {
    let monitoring = monitoring();
    let is_up = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_up);
    let health = Health::builder(&monitoring)
        .check("ledger", move || {
            let is_up = asked.load(Ordering::Relaxed);
            async move { if is_up { Ok(()) } else { Err(Reason::Unavailable) } }
        })
        .critical()
        .start()
        .unwrap();
    assert!(!monitoring.is_ready());
    assert_eq!(monitoring.health_report().readiness, Readiness::Starting);
    assert!(!monitoring.render().contains("saas_dependency_up{"));
    until(|| health.status("ledger") == Some(Status::Down)).await;
    assert_eq!(monitoring.health_report().readiness, Readiness::DependencyDown);
    is_up.store(true, Ordering::Relaxed);
    until(|| monitoring.is_ready()).await;
    let report = monitoring.health_report();
    assert_eq!(report.readiness, Readiness::Ready);
    let check = &report.checks[0];
    assert_eq!((check.status, check.failures, &check.problem), (Status::Up, 0, &None));
    assert_eq!(check.last_failure.as_ref().map(|(problem, _at)| problem.reason()), Some(Reason::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_not_critical_is_reported_and_takes_nothing_out() {
    let monitoring = monitoring();
    let health = Health::builder(&monitoring).check("mail", || async { Err::<(), _>(Reason::Io) }).start().unwrap();
    assert!(monitoring.is_ready());
    until(|| health.status("mail") == Some(Status::Down)).await;
    assert!(monitoring.is_ready());
    assert!(monitoring.render().contains("saas_dependency_up{dependency=\"mail\",critical=\"false\"} 0\n"));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_fails_by_its_time_out_and_does_not_pile_up() {
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let monitoring = monitoring();
    let (running, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, counted_begun) = (Arc::clone(&running), Arc::clone(&begun));
    Health::builder(&monitoring)
        .check("ledger", move || {
            counted_begun.fetch_add(1, Ordering::Relaxed);
            assert_eq!(counted.fetch_add(1, Ordering::Relaxed), 0, "two at a time");
            let running = Running(Arc::clone(&counted));
            async move {
                let _running = running;
                pending::<Result<(), Reason>>().await
            }
        })
        .critical()
        .start()
        .unwrap();
    until(|| begun.load(Ordering::Relaxed) > 5).await;
    assert_eq!(reason(&monitoring), Some(Reason::Timeout));
    assert!(running.load(Ordering::Relaxed) <= 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_a_dependency_is_asked_once_in_its_interval() {
    let monitoring = monitoring();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    Health::builder(&monitoring)
        .check("ledger", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Reason>(()) }
        })
        .critical()
        .every(Duration::from_secs(10))
        .start()
        .unwrap();
    let start = Instant::now();
    let mut questions = 0;
    until(|| {
        questions += u32::from(monitoring.is_ready()) + u32::from(!monitoring.health_report().checks.is_empty());
        start.elapsed() > Duration::from_secs(95)
    })
    .await;
    assert!(questions > 1_000);
    assert_eq!(asked.load(Ordering::Relaxed), 10);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_has_failed_and_is_run_again() {
    let monitoring = monitoring();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let health = Health::builder(&monitoring)
        .check("ledger", move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(run > 0, "postgres://app:hunter2@db");
                Ok::<_, Reason>(())
            }
        })
        .critical()
        .start()
        .unwrap();
    until(|| reason(&monitoring) == Some(Reason::Panicked)).await;
    assert!(!format!("{:?}", monitoring.health_report()).contains("hunter2"));
    until(|| health.status("ledger") == Some(Status::Up)).await;
    assert!(monitoring.is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_holds_its_thread_fails_and_no_second_one_begins() {
    let monitoring = monitoring();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let health = Health::builder(&monitoring)
        .check("ledger", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = held.lock().unwrap().recv();
            async { Ok::<_, Reason>(()) }
        })
        .critical()
        .every(Duration::from_millis(20))
        .time_out(Duration::from_millis(20))
        .start()
        .unwrap();
    let failures = || monitoring.health_report().checks[0].failures;
    until(|| failures() >= 3).await;
    assert_eq!((reason(&monitoring), health.status("ledger")), (Some(Reason::Timeout), Some(Status::Down)));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // One check, however long it hangs and however often that is told.
    let samples: monitoring_tests::exposition::Samples = monitoring.render().parse().unwrap();
    assert_eq!(samples.sum("saas_dependency_check_duration_seconds_count", &[]), 1.0);
    let hangs = || monitoring.health_report().checks[0].duration.unwrap();
    until(|| hangs() >= Duration::from_millis(100)).await;
    drop(release);
    until(|| health.status("ledger") == Some(Status::Up)).await;
}

#[tokio::test(start_paused = true)]
async fn one_failure_takes_nothing_out_but_three_in_a_row_do() {
    let monitoring = monitoring();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    // Passes, fails, passes, and fails from then on.
    Health::builder(&monitoring)
        .check("ledger", move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move { if matches!(run, 0 | 2) { Ok(()) } else { Err(Reason::Timeout) } }
        })
        .critical()
        .start()
        .unwrap();
    let mut was_ready = [false; 8];
    until(|| {
        let run = runs.load(Ordering::Relaxed);
        let ended = monitoring.health_report().checks[0].age.is_some_and(|age| age < Duration::from_secs(4));
        if let Some(was_ready) = was_ready.get_mut(run).filter(|_| ended) {
            *was_ready = monitoring.is_ready();
        }
        run > 6
    })
    .await;
    assert_eq!(was_ready[1..=6], [true, true, true, true, true, false], "after each run");
}

#[tokio::test(start_paused = true)]
async fn the_checks_end_with_the_monitoring() {
    let monitoring = monitoring();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let check = move || {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Reason>(())
        }
    };
    Health::builder(&monitoring).check("ledger", check).start().unwrap();
    until(|| runs.load(Ordering::Relaxed) == 1).await;
    monitoring.shutdown(Duration::from_secs(1)).await.unwrap();
    assert_eq!(monitoring.health_report().readiness, Readiness::Draining);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // The check is dropped with the last handle.
    drop(monitoring);
    until(|| Arc::strong_count(&runs) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_monitoring_that_is_dropped_without_a_shutdown_ends_its_checks() {
    let held = Arc::new(());
    let check = {
        let held = Arc::clone(&held);
        move || {
            let _held = &held;
            async { Ok::<_, Reason>(()) }
        }
    };
    let monitoring = monitoring();
    Health::builder(&monitoring).check("ledger", check).start().unwrap();
    drop(monitoring);
    until(|| Arc::strong_count(&held) == 1).await;
}

#[tokio::test]
async fn a_result_that_nobody_renews_takes_the_service_out() {
    let monitoring = monitoring();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let health = {
        let _inside = runtime.enter();
        let builder = Health::builder(&monitoring).check("ledger", passes).critical();
        builder.every(Duration::from_millis(20)).time_out(Duration::from_millis(500)).start().unwrap()
    };
    until(|| monitoring.is_ready()).await;
    runtime.shutdown_background();
    until(|| health.status("ledger") == Some(Status::Stale)).await;
    assert_eq!((monitoring.is_ready(), monitoring.health_report().readiness), (false, Readiness::DependencyDown));
}

fn passes() -> std::future::Ready<Result<(), Reason>> {
    std::future::ready(Ok(()))
}

#[tokio::test]
async fn what_is_set_up_wrongly_is_named() {
    let monitoring = monitoring();
    let builder = || Health::builder(&monitoring);
    let cases = [
        (builder().check("", passes).start(), "cannot be the name"),
        (builder().check("postgres://app:x@db", passes).start(), "cannot be the name"),
        (
            builder().check("a", passes).check("b", passes).check("a", passes).start(),
            "two health checks are called `a`",
        ),
        (builder().check("a", passes).every(Duration::ZERO).start(), "`every` 0"),
        (builder().check("a", passes).time_out(Duration::ZERO).start(), "`time_out` 0"),
        (builder().check("a", passes).down_after(0).start(), "`down_after` 0"),
    ];
    for (started, said) in cases {
        let error = started.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut several = builder();
    for name in ["a", "b"] {
        several = several.check(name, passes).critical().into();
    }
    several.start().unwrap();
    assert!(matches!(builder().start(), Err(HealthError::AlreadyStarted)));
}

#[test]
fn checks_without_a_runtime_or_its_timer_are_refused() {
    let monitoring = monitoring();
    let start = || Health::builder(&monitoring).check("a", passes).critical().start();
    assert!(matches!(start(), Err(HealthError::NoRuntime)));
    let without_timer = tokio::runtime::Builder::new_current_thread().build().unwrap();
    without_timer.block_on(async { assert!(matches!(start(), Err(HealthError::NoRuntime))) });
    assert!(monitoring.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_monitoring_that_is_switched_off_still_knows_whether_it_is_ready() {
    let mut builder = Monitoring::builder("test");
    builder.config.enabled = false;
    let monitoring = builder.build().unwrap();
    let health = Health::builder(&monitoring).check("ledger", passes).critical().start().unwrap();
    assert!(!monitoring.is_ready());
    until(|| monitoring.is_ready()).await;
    assert_eq!(health.status("ledger"), Some(Status::Up));
    assert!(!monitoring.render().contains("saas_dependency_up"));
}

#[test]
fn a_signal_that_nobody_has_measured_is_not_shown() {
    let monitoring = monitoring();
    let waiting = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&waiting);
    Autoscale::of(&monitoring)
        .unwrap()
        .in_flight()
        .queue_age(move || seen.load(Ordering::Relaxed).then_some(Duration::from_millis(1500)));
    let text = monitoring.render();
    assert!(text.contains("saas_autoscale_signal{signal=\"queue_age\"} 1.5\n"), "{text}");
    assert!(!text.contains("in_flight"));
    waiting.store(false, Ordering::Relaxed);
    assert!(!monitoring.render().contains("queue_age"));
}
