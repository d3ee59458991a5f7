//! Rows E11 and E12: retries, crashes, one tenant's scope in another's work.

use std::env;
use std::future::pending;
use std::io::{BufRead as _, BufReader};
use std::panic::AssertUnwindSafe;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use monitoring_core::job::{JobEnvelope, Jobs};
use monitoring_core::{Monitoring, Tenant, TenantFutureExt as _, Tier};
use monitoring_tests::exposition::Samples;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, yield_now};

fn set_up() -> (Monitoring, Jobs, [Tenant; 2]) {
    let monitoring = Monitoring::builder("jobs").build().unwrap();
    let jobs = Jobs::of(&monitoring).unwrap();
    let tenants =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap());
    (monitoring, jobs, tenants)
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

fn runs(samples: &Samples, job: &str, outcome: &str) -> f64 {
    samples.sum("saas_job_runs_total", &[("job_name", job), ("outcome", outcome)])
}

/// Jobs that have come to an end, and attempts that have.
fn jobs_and_attempts(samples: &Samples, job: &str) -> (f64, f64) {
    let ended = ["ok", "failed", "dead"].map(|outcome| runs(samples, job, outcome)).iter().sum();
    (ended, samples.sum("saas_job_runs_total", &[("job_name", job)]))
}

#[tokio::test]
async fn e11_attempts_and_jobs_are_counted_apart_when_jobs_are_retried_and_panic() {
    let (monitoring, jobs, [acme, _]) = set_up();
    // One succeeds at its third attempt, after an error and a panic; one is given up after three.
    for outcomes in [["error", "panic", "ok"], ["panic", "error", "panic"]] {
        for (number, outcome) in (1..).zip(outcomes) {
            let attempt = jobs.job("export").tenant(acme).attempt(number).of(3).run(async move {
                yield_now().await;
                assert_ne!(outcome, "panic");
                if outcome == "error" { Err("no") } else { Ok(()) }
            });
            let ended = AssertUnwindSafe(attempt).catch_unwind().await;
            assert_eq!(ended.is_err(), outcome == "panic", "a panic goes on");
        }
    }
    let samples = samples(&monitoring);
    assert_eq!(jobs_and_attempts(&samples, "export"), (2.0, 6.0));
    assert_eq!(["ok", "retried", "dead"].map(|outcome| runs(&samples, "export", outcome)), [1.0, 4.0, 1.0]);
    assert_eq!(samples.value("saas_job_panics_total", &[("job_name", "export")]), Some(3.0));
    assert_eq!(samples.value("saas_job_active", &[("job_name", "export")]), Some(0.0));
}

#[tokio::test]
async fn e11_an_attempt_whose_lease_is_lost_is_cancelled_and_the_job_counts_once() {
    let (monitoring, jobs, [acme, _]) = set_up();
    let (lose, lost) = oneshot::channel::<()>();
    let (has_begun, begun) = oneshot::channel();
    let jobs_of_first = jobs.clone();
    let first = tokio::spawn(async move {
        let work = jobs_of_first.job("export").tenant(acme).attempt(1).of(3).run(async {
            has_begun.send(()).unwrap();
            pending::<Result<(), ()>>().await
        });
        tokio::select! {
            _ = work => unreachable!("the work never ends"),
            _ = lost => {}
        }
    });
    begun.await.unwrap();
    // The queue takes the first worker for dead, and gives the job to another one.
    let second = jobs.job("export").tenant(acme).attempt(2).of(3).run(async { Ok::<_, ()>(()) });
    second.await.unwrap();
    assert_eq!(samples(&monitoring).value("saas_job_active", &[("job_name", "export")]), Some(1.0));
    lose.send(()).unwrap();
    first.await.unwrap();

    let samples = samples(&monitoring);
    assert_eq!(jobs_and_attempts(&samples, "export"), (1.0, 2.0));
    assert_eq!(runs(&samples, "export", "cancelled"), 1.0);
    assert_eq!(samples.value("saas_job_active", &[("job_name", "export")]), Some(0.0));
}

#[tokio::test]
async fn e11_clocks_that_differ_make_no_negative_wait_and_no_wrong_duration() {
    let (monitoring, jobs, _) = set_up();
    let hour = Duration::from_secs(3600);
    let written = |time: SystemTime| {
        let json = serde_json::to_string(&jobs.envelope(()).enqueued_at(time)).unwrap();
        serde_json::from_str::<JobEnvelope<()>>(&json).unwrap()
    };
    let now = SystemTime::now();
    for time in [now - hour, now + hour, SystemTime::UNIX_EPOCH] {
        jobs.job("export").run_envelope(written(time), |()| async {}).await;
    }
    let endless = r#"{"enqueued_at_ms":18446744073709551615,"payload":null}"#;
    let endless = serde_json::from_str::<JobEnvelope<()>>(endless).unwrap();
    jobs.job("export").run_envelope(endless, |()| async {}).await;

    let samples = samples(&monitoring);
    let export = ("job_name", "export");
    assert_eq!(samples.value("saas_job_clock_skews_total", &[export]), Some(3.0));
    assert_eq!(samples.value("saas_job_queue_wait_seconds_count", &[export]), Some(4.0));
    assert_eq!(samples.value("saas_job_queue_wait_seconds_bucket", &[export, ("le", "0.01")]), Some(2.0));
    let sum = samples.value("saas_job_queue_wait_seconds_sum", &[export]).unwrap();
    assert!((sum - 3_600.0 - 30.0 * 86_400.0).abs() < 60.0, "{sum}");
    let took = samples.value("saas_job_duration_seconds_sum", &[export, ("outcome", "ok")]).unwrap();
    assert!((0.0..60.0).contains(&took), "{took}");
}

/// Tells the test program that it is the worker: what of it to do.
const ROLE: &str = "MONITORING_TESTS_WORKER";

const KILLED: &str = "jobs::e11_a_worker_that_is_killed_leaves_a_start_without_an_end";

/// The last line of what a worker shows.
const SHOWN: &str = "# all of it is shown";

/// Takes one job from its queue. The first worker hangs in it; the second one does it.
fn work(role: &str) {
    let (monitoring, jobs, [acme, _]) = set_up();
    jobs.expect_every("export", Duration::from_secs(60));
    let number = if role == "first" { 1 } else { 2 };
    runtime(1).block_on(async {
        let show = || println!("{}{SHOWN}", monitoring.render());
        let job = jobs.job("export").tenant(acme).attempt(number).of(3);
        let hangs = role == "first";
        let result = job.run(async {
            if hangs {
                show();
                pending::<()>().await;
            }
            Ok::<_, ()>(())
        });
        result.await.unwrap();
        show();
    });
}

struct Worker(Child);

impl Worker {
    fn start(role: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", KILLED, "--nocapture"]).env(ROLE, role).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// What it shows, as the last scrape would have seen it.
    fn scrape(&mut self) -> Samples {
        let shown = BufReader::new(self.0.stdout.take().unwrap());
        let mut lines = shown.lines().map(Result::unwrap);
        let lines: Vec<_> = lines.by_ref().take_while(|line| line != SHOWN).filter(|line| is_sample(line)).collect();
        assert!(!lines.is_empty(), "it has shown nothing");
        (lines.join("\n") + "\n").parse().unwrap()
    }
}

/// The test runner prints lines of its own.
fn is_sample(line: &str) -> bool {
    line.starts_with("saas_")
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn e11_a_worker_that_is_killed_leaves_a_start_without_an_end() {
    if let Ok(role) = env::var(ROLE) {
        return work(&role);
    }
    let mut first = Worker::start("first");
    let last_seen = first.scrape();
    first.0.kill().unwrap();
    assert!(!first.0.wait().unwrap().success());
    assert_eq!(last_seen.value("saas_job_active", &[("job_name", "export")]), Some(1.0));
    assert_eq!(jobs_and_attempts(&last_seen, "export"), (0.0, 0.0));

    let second = Worker::start("second").scrape();
    assert_eq!(jobs_and_attempts(&second, "export"), (1.0, 1.0));
    // What Prometheus has of both: two begun, one ended, and none under way where there is still a worker.
    let ends = [&last_seen, &second].map(|seen| seen.value("saas_job_ends_total", &[("job_name", "export")]).unwrap());
    assert_eq!(ends, [0.0, 1.0]);
    let starts: f64 = [&last_seen, &second]
        .map(|seen| seen.value("saas_job_starts_total", &[("job_name", "export")]).unwrap())
        .iter()
        .sum();
    assert_eq!(starts, 2.0);
    assert_eq!(second.value("saas_job_active", &[("job_name", "export")]), Some(0.0));
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

/// What a job does next. After each step it looks whom it works for.
#[derive(Clone, Debug)]
enum Step {
    Yield,
    /// In a task of its own, to which the tenant is handed over.
    Spawn(Vec<Step>),
    /// In a task of its own that is handed nothing.
    SpawnBare,
    /// On a thread for blocking work.
    Block,
    /// Within another job, of the other tenant.
    Job(Vec<Step>),
    /// In an envelope, through a queue.
    Queue(Vec<Step>),
    /// Within another job that panics.
    Panic,
    /// Within another job that is given up.
    Cancel,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let simple = || {
        prop_oneof![
            4 => Just(Step::Yield),
            1 => Just(Step::SpawnBare),
            1 => Just(Step::Block),
            1 => Just(Step::Panic),
            1 => Just(Step::Cancel),
        ]
    };
    let step = simple().prop_recursive(3, 16, 4, move |inner| {
        let steps = proptest::collection::vec(inner, 0..4);
        prop_oneof![
            3 => simple(),
            1 => steps.clone().prop_map(Step::Spawn),
            1 => steps.clone().prop_map(Step::Job),
            1 => steps.prop_map(Step::Queue),
        ]
    });
    proptest::collection::vec(step, 0..6)
}

/// Runs of jobs that end well, as the steps of one say.
fn expected(steps: &[Step], mine: usize, counts: &mut [f64; 2]) {
    for step in steps {
        match step {
            Step::Spawn(steps) => expected(steps, mine, counts),
            Step::Queue(steps) => {
                counts[mine] += 1.0;
                expected(steps, mine, counts);
            }
            Step::Job(steps) => {
                counts[1 - mine] += 1.0;
                expected(steps, 1 - mine, counts);
            }
            _ => {}
        }
    }
}

fn perform(jobs: Jobs, tenants: [Tenant; 2], mine: usize, steps: Vec<Step>) -> BoxFuture<'static, Result<(), ()>> {
    Box::pin(async move {
        let (me, other) = (tenants[mine], tenants[1 - mine]);
        assert_eq!(Tenant::current(), me, "at the beginning");
        for step in steps {
            let done = step.clone();
            match step {
                Step::Yield => yield_now().await,
                Step::Spawn(steps) => {
                    let work = perform(jobs.clone(), tenants, mine, steps);
                    tokio::spawn(work.in_current_tenant()).await.unwrap().unwrap();
                }
                Step::SpawnBare => {
                    let current = tokio::spawn(async { Tenant::current() }).await.unwrap();
                    assert_eq!(current, Tenant::NONE, "handed over by nobody");
                }
                Step::Block => {
                    let tenant = Tenant::current();
                    let work = move || {
                        let bare = Tenant::current();
                        let _entered = tenant.enter();
                        (bare, Tenant::current())
                    };
                    assert_eq!(spawn_blocking(work).await.unwrap(), (Tenant::NONE, me));
                }
                Step::Job(steps) => {
                    let work = perform(jobs.clone(), tenants, 1 - mine, steps);
                    jobs.job("inner").tenant(other).run(work).await.unwrap();
                }
                Step::Queue(steps) => {
                    let json = serde_json::to_string(&jobs.envelope(steps.len())).unwrap();
                    let envelope: JobEnvelope<usize> = serde_json::from_str(&json).unwrap();
                    let jobs = jobs.clone();
                    let worker = tokio::spawn(async move {
                        let work = |_| perform(jobs.clone(), tenants, mine, steps);
                        jobs.job("queued").run_envelope(envelope, work).await
                    });
                    worker.await.unwrap().unwrap();
                }
                Step::Panic => {
                    let panics = jobs.job("panics").tenant(other).run(async {
                        yield_now().await;
                        // Without the message of a panic, of which there would be many.
                        std::panic::resume_unwind(Box::new("in a job"))
                    });
                    let panics: Result<(), _> = AssertUnwindSafe(panics).catch_unwind().await;
                    assert!(panics.is_err());
                }
                Step::Cancel => {
                    let mut given_up = Box::pin(jobs.job("given-up").tenant(other).run(pending::<()>()));
                    assert!((&mut given_up).now_or_never().is_none());
                    yield_now().await;
                }
            }
            assert_eq!(Tenant::current(), me, "after {done:?}");
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn e12_no_tenant_leaks_into_the_work_of_another(
        programs in proptest::collection::vec((0..2_usize, steps()), 2..12),
        threads in 1..4_usize,
    ) {
        let (monitoring, jobs, tenants) = set_up();
        let mut counts = [0.0; 2];
        for (mine, steps) in &programs {
            counts[*mine] += 1.0;
            expected(steps, *mine, &mut counts);
        }
        runtime(threads).block_on(async {
            let running: Vec<_> = programs
                .into_iter()
                .map(|(mine, steps)| {
                    let work = perform(jobs.clone(), tenants, mine, steps);
                    tokio::spawn(jobs.job("outer").tenant(tenants[mine]).run(work))
                })
                .collect();
            for task in running {
                task.await.unwrap().unwrap();
                assert_eq!(Tenant::current(), Tenant::NONE);
            }
        });
        let samples = samples(&monitoring);
        for (id, count) in ["acme", "zeta"].into_iter().zip(counts) {
            let ok = samples.sum("saas_job_runs_total", &[("tenant", id), ("outcome", "ok")]);
            prop_assert_eq!(ok, count, "of {}", id);
        }
        prop_assert_eq!(samples.sum("saas_job_active", &[]), 0.0);
        for nobody in ["__none__", "__unknown__", "__other__"] {
            prop_assert_eq!(samples.sum("saas_job_runs_total", &[("tenant", nobody)]), 0.0);
        }
    }
}
