//! What happens at intervals: schedules, queues, expectations, backups. The clock of these tests is paused, and goes on
//! when nothing else is left to do.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};

use super::super::{BackupReport, QueueMonitor, QueueState, scheduled};
use super::{runs, samples, set_up, value};
use crate::Tenant;

const SECOND: Duration = Duration::from_secs(1);

fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_job_runs_at_its_interval_for_its_tenant_until_the_shutdown() {
    let (monitoring, _, [acme, _]) = set_up();
    let work = move || async move { assert_eq!(Tenant::current(), acme) };
    let schedule = scheduled("cleanup", 10 * SECOND).first_in(5 * SECOND).tenant(acme);
    let task = schedule.start(&monitoring, work).unwrap();
    sleep(SECOND).await;
    assert_eq!(runs(&monitoring, "cleanup", "ok"), 0.0);
    sleep(30 * SECOND).await;
    assert_eq!(runs(&monitoring, "cleanup", "ok"), 3.0);
    assert_eq!(samples(&monitoring).sum("saas_job_missed_runs_total", &[]), 0.0);
    assert_eq!(value(&monitoring, "saas_job_expected_interval_seconds", ("job_name", "cleanup")), Some(10.0));

    monitoring.shutdown(SECOND).await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn runs_never_overlap_and_the_times_that_pass_meanwhile_are_missed() {
    let (monitoring, _, _) = set_up();
    let running = Arc::new(AtomicBool::new(false));
    let work = move || {
        let running = Arc::clone(&running);
        async move {
            assert!(!running.swap(true, Ordering::Relaxed), "two at a time");
            sleep(35 * SECOND).await;
            running.store(false, Ordering::Relaxed);
        }
    };
    // It begins at 0, and is over at 35. Of 10, 20 and 30 one is made up for at 35.
    let task = scheduled("slow", 10 * SECOND).start(&monitoring, work).unwrap();
    sleep(34 * SECOND).await;
    assert_eq!(value(&monitoring, "saas_job_missed_runs_total", ("job_name", "slow")), None);
    sleep(2 * SECOND).await;
    assert_eq!(value(&monitoring, "saas_job_missed_runs_total", ("job_name", "slow")), Some(2.0));
    assert_eq!(value(&monitoring, "saas_job_active", ("job_name", "slow")), Some(1.0));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // What is aborted does not go on without its schedule.
    while value(&monitoring, "saas_job_active", ("job_name", "slow")) != Some(0.0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(runs(&monitoring, "slow", "cancelled"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_failure_of_a_scheduled_job_does_not_end_its_schedule() {
    let (monitoring, _, _) = set_up();
    let count = Arc::new(AtomicU32::new(0));
    let work = move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_ne!(number, 0, "the first one panics");
            if number == 1 { Err("and the second one fails") } else { Ok(()) }
        }
    };
    let _task = scheduled("cleanup", SECOND).start(&monitoring, work).unwrap();
    sleep(SECOND * 5 / 2).await;
    assert_eq!(runs(&monitoring, "cleanup", "failed"), 2.0);
    assert_eq!(runs(&monitoring, "cleanup", "ok"), 1.0);
    assert_eq!(value(&monitoring, "saas_job_panics_total", ("job_name", "cleanup")), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_run_that_is_under_way() {
    let (monitoring, _, _) = set_up();
    let _task = scheduled("slow", 60 * SECOND).start(&monitoring, || sleep(30 * SECOND)).unwrap();
    sleep(SECOND).await;
    let start = Instant::now();
    monitoring.shutdown(60 * SECOND).await.unwrap();
    assert_eq!(start.elapsed(), 29 * SECOND);
    assert_eq!(runs(&monitoring, "slow", "ok"), 1.0);
}

#[tokio::test]
async fn an_expectation_is_known_before_the_first_run_and_a_success_when_it_was() {
    let (monitoring, jobs, _) = set_up();
    let (since, job) = (wall_clock(), ("job_name", "report"));
    jobs.expect_every("report", 60 * SECOND);
    assert_eq!(value(&monitoring, "saas_job_expected_interval_seconds", job), Some(60.0));
    let expected = value(&monitoring, "saas_job_expected_since_timestamp_seconds", job).unwrap();
    assert!((since..=wall_clock()).contains(&expected), "{expected}");
    assert_eq!(value(&monitoring, "saas_job_starts_total", job), Some(0.0));

    // A failure is no success, and what has never succeeded has no time of it.
    assert!(jobs.job("report").run(async { Err::<(), _>("no") }).await.is_err());
    assert_eq!(value(&monitoring, "saas_job_last_success_timestamp_seconds", job), None);
    let before = wall_clock();
    jobs.job("report").run(async {}).await;
    let success = value(&monitoring, "saas_job_last_success_timestamp_seconds", job).unwrap();
    assert!((before..=wall_clock()).contains(&success), "{success}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_shows_its_last_answer_until_three_questions_in_a_row_have_failed() {
    let (monitoring, _, _) = set_up();
    let broken = Arc::new(AtomicBool::new(false));
    let probe = {
        let broken = Arc::clone(&broken);
        move || {
            let is_broken = broken.load(Ordering::Relaxed);
            async move {
                if is_broken { Err("no database") } else { Ok(QueueState { depth: 4, oldest: Some(90 * SECOND) }) }
            }
        }
    };
    let monitor = QueueMonitor::new("exports", probe).every(10 * SECOND).start(&monitoring).unwrap();
    let queue = ("queue", "exports");
    let shown = || {
        ["saas_job_queue_up", "saas_job_queue_depth", "saas_job_queue_age_seconds"]
            .map(|name| value(&monitoring, name, queue))
    };
    sleep(SECOND).await;
    assert_eq!(shown(), [Some(1.0), Some(4.0), Some(90.0)]);
    broken.store(true, Ordering::Relaxed);
    sleep(20 * SECOND).await;
    assert_eq!(shown(), [Some(0.0), Some(4.0), Some(90.0)]);
    sleep(10 * SECOND).await;
    assert_eq!(shown(), [Some(0.0), None, None]);
    broken.store(false, Ordering::Relaxed);
    sleep(10 * SECOND).await;
    assert_eq!(shown(), [Some(1.0), Some(4.0), Some(90.0)]);

    monitoring.shutdown(SECOND).await.unwrap();
    monitor.await.unwrap();
    assert_eq!(shown(), [None, None, None], "nobody asks any more");
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_monitor_is_aborted_is_shown_no_longer() {
    let (monitoring, _, _) = set_up();
    let probe = || async { Ok::<_, ()>(QueueState { depth: 4, oldest: None }) };
    let task = QueueMonitor::new("exports", probe).start(&monitoring).unwrap();
    sleep(SECOND).await;
    assert_eq!(value(&monitoring, "saas_job_queue_depth", ("queue", "exports")), Some(4.0));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(samples(&monitoring).sum("saas_job_queue_up", &[]), 0.0);
    assert_eq!(value(&monitoring, "saas_job_queue_depth", ("queue", "exports")), None);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_or_panics_is_not_up_and_is_asked_one_question_at_a_time() {
    struct Asked(Arc<AtomicU32>);
    impl Drop for Asked {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    let (monitoring, _, _) = set_up();
    let (asked, total) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let probe = {
        let (asked, total) = (Arc::clone(&asked), Arc::clone(&total));
        move || {
            assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 0, "two questions at a time");
            let (question, number) = (Asked(Arc::clone(&asked)), total.fetch_add(1, Ordering::Relaxed));
            async move {
                let _question = question;
                assert!(number % 2 == 0, "each second one panics");
                pending::<Result<QueueState, ()>>().await
            }
        }
    };
    let monitor = QueueMonitor::new("exports", probe).every(10 * SECOND).time_out(2 * SECOND);
    let _task = monitor.start(&monitoring).unwrap();
    sleep(SECOND).await;
    assert_eq!(value(&monitoring, "saas_job_queue_up", ("queue", "exports")), None);
    sleep(40 * SECOND).await;
    assert_eq!(value(&monitoring, "saas_job_queue_up", ("queue", "exports")), Some(0.0));
    assert_eq!(value(&monitoring, "saas_job_queue_depth", ("queue", "exports")), None);
    assert!(total.load(Ordering::Relaxed) >= 4);
}

#[tokio::test]
async fn a_backup_tells_its_size_and_when_it_was_made_and_a_failed_one_changes_neither() {
    let (monitoring, jobs, _) = set_up();
    let target = ("target", "postgres");
    let shown = || {
        ["saas_backup_size_bytes", "saas_backup_last_success_timestamp_seconds"]
            .map(|name| value(&monitoring, name, target))
    };
    let failed = jobs.backup("postgres").expect_every(60 * SECOND).run(async { Err("no space") }).await;
    assert_eq!((failed, shown()), (Err("no space"), [None, None]));
    let before = wall_clock();
    let report = jobs.backup("postgres").run(async { Ok::<_, ()>(BackupReport { bytes: 4096 }) }).await;
    assert_eq!(report, Ok(BackupReport { bytes: 4096 }));
    let [size, made] = shown();
    assert_eq!(size, Some(4096.0));
    assert!((before..=wall_clock()).contains(&made.unwrap()));
    jobs.backup("postgres").run(async { Err("no space") }).await.unwrap_err();
    assert_eq!(shown(), [size, made]);
    let given_up = jobs.backup("postgres").run(pending::<Result<_, ()>>());
    assert!(tokio::time::timeout(Duration::ZERO, given_up).await.is_err());

    let samples = samples(&monitoring);
    let runs = |outcome| samples.value("saas_backup_runs_total", &[target, ("outcome", outcome)]);
    assert_eq!((runs("ok"), runs("failed"), runs("cancelled")), (Some(1.0), Some(2.0), Some(1.0)));
    let job = ("job_name", "backup-postgres");
    assert_eq!(samples.value("saas_job_duration_seconds_count", &[job, ("outcome", "ok")]), Some(1.0));
    assert_eq!(samples.value("saas_job_expected_interval_seconds", &[job]), Some(60.0));
}

#[tokio::test]
async fn a_restore_test_tells_when_it_last_succeeded() {
    let (monitoring, jobs, _) = set_up();
    let target = ("target", "postgres");
    let test = || jobs.restore_test("postgres").expect_every(60 * SECOND);
    assert!(test().run(async { Err::<(), _>("a table is missing") }).await.is_err());
    assert_eq!(value(&monitoring, "saas_restore_test_last_success_timestamp_seconds", target), None);
    assert_eq!(test().run(async { Ok::<_, ()>(12) }).await, Ok(12));
    assert!(value(&monitoring, "saas_restore_test_last_success_timestamp_seconds", target).is_some());

    let samples = samples(&monitoring);
    let runs = |outcome| samples.value("saas_restore_test_runs_total", &[target, ("outcome", outcome)]);
    assert_eq!((runs("ok"), runs("failed")), (Some(1.0), Some(1.0)));
    assert_eq!(samples.sum("saas_job_runs_total", &[("job_name", "restore-test-postgres")]), 2.0);
    assert_eq!(samples.sum("saas_backup_runs_total", &[]), 0.0);
}
