//! The layer in a worker of apalis.

use std::io;
use std::time::Duration;

use apalis::prelude::{
    Data, Event, EventListenerExt, MemoryStorage, RetryPolicy, Task, TaskSink, WorkerBuilder, WorkerBuilderExt,
};
use monitoring_core::Tenant;
use monitoring_core::job::Attempt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{runs, samples, set_up};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Export {
    tenant: &'static str,
    /// Attempts that fail.
    failures: u32,
    panics: bool,
}

impl Export {
    const fn of(tenant: &'static str, failures: u32) -> Self {
        Self { tenant, failures, panics: false }
    }
}

/// Says for whom it works, and fails as often as it is told.
async fn export(task: Export, attempt: apalis::prelude::Attempt, seen: Data<Seen>) -> Result<(), io::Error> {
    tokio::task::yield_now().await;
    seen.send((task.tenant, Tenant::current())).unwrap();
    assert!(!task.panics, "in a task");
    if attempt.current() <= task.failures as usize { Err(io::Error::other("not yet")) } else { Ok(()) }
}

type Seen = mpsc::UnboundedSender<(&'static str, Tenant)>;

#[tokio::test]
async fn each_attempt_of_a_task_of_apalis_is_a_run_for_the_tenant_that_the_task_names() {
    let (monitoring, jobs, [acme, zeta]) = set_up();
    let tenants = monitoring.tenants().clone();
    let layer = jobs
        .layer("export")
        .tenant(move |task: &Task<Export>| tenants.lookup(task.args.tenant))
        // apalis counts the attempts that were made before this one.
        .attempt(|task: &Task<Export>| Attempt::number(task.attempt() as u32 + 1).of(3));

    let mut queue = MemoryStorage::new();
    let tasks = [
        Export::of("acme", 0),
        Export::of("zeta", 2),
        Export::of("zeta", 9),
        Export::of("stranger", 0),
        Export { panics: true, ..Export::of("acme", 0) },
    ];
    for task in tasks {
        queue.push(task).await.unwrap();
    }
    let (seen, mut attempts): (Seen, _) = mpsc::unbounded_channel();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let worker = WorkerBuilder::new("exports")
        .backend(queue)
        .catch_panic()
        .retry(RetryPolicy::retries(2))
        .layer(layer)
        .data(seen)
        .on_event(move |_, event| {
            if matches!(event, Event::Success(_) | Event::Error(_)) {
                let _ = ended.send(());
            }
        })
        .build(export);
    let worker = tokio::spawn(worker.run());
    for _ in 0..5 {
        timeout(PATIENCE, ends.recv()).await.unwrap().unwrap();
    }
    worker.abort();
    let _ = worker.await;

    let mut count = 0;
    while let Ok((task, current)) = attempts.try_recv() {
        let expected = match task {
            "acme" => acme,
            "zeta" => zeta,
            _ => Tenant::UNKNOWN,
        };
        assert_eq!(current, expected, "{task}");
        count += 1;
    }
    let samples = samples(&monitoring);
    assert_eq!(samples.value("saas_job_starts_total", &[("job_name", "export")]), Some(f64::from(count)));
    assert_eq!(samples.value("saas_job_active", &[("job_name", "export")]), Some(0.0));
    assert_eq!(runs(&samples, "acme", "export", "ok"), 1.0);
    assert_eq!(runs(&samples, "zeta", "export", "ok"), 1.0);
    assert_eq!(runs(&samples, "zeta", "export", "retried"), 4.0);
    assert_eq!(runs(&samples, "zeta", "export", "dead"), 1.0);
    assert_eq!(runs(&samples, "__unknown__", "export", "ok"), 1.0);
    // `catch_panic` is outside of the retries, so that a panic is not tried again.
    assert_eq!(runs(&samples, "acme", "export", "retried"), 1.0);
    assert_eq!(samples.value("saas_job_panics_total", &[("job_name", "export")]), Some(1.0));
}
