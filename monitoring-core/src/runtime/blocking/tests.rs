//! Blocking work, on a runtime with one thread for it.

use std::sync::mpsc;
use std::time::Duration;

use monitoring_tests::exposition::Samples;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::Tier;

/// A runtime whose blocking work waits for one thread.
fn narrow() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(1).build().unwrap()
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

/// How many run, wait, have waited and have run.
fn counts(monitoring: &Monitoring) -> [f64; 4] {
    let samples = samples(monitoring);
    [
        "saas_tokio_blocking_threads",
        "saas_tokio_blocking_queue_depth",
        "saas_tokio_blocking_wait_seconds_count",
        "saas_tokio_blocking_run_seconds_count",
    ]
    .map(|name| samples.sum(name, &[]))
}

#[track_caller]
fn until(monitoring: &Monitoring, expected: [f64; 4]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while counts(monitoring) != expected {
        assert!(Instant::now() < deadline, "{:?} in place of {expected:?}", counts(monitoring));
        std::thread::yield_now();
    }
}

#[test]
fn work_waits_then_runs_and_both_are_timed() {
    let (monitoring, runtime) = (Monitoring::builder("test").build().unwrap(), narrow());
    let blocking = Blocking::of(&monitoring).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let _entered = runtime.enter();
    let first = blocking.spawn(move || held.recv().is_err());
    let second = blocking.spawn(|| 7);
    until(&monitoring, [1.0, 1.0, 1.0, 0.0]);
    drop(release);
    assert!(runtime.block_on(first).unwrap());
    assert_eq!(runtime.block_on(second).unwrap(), 7);
    until(&monitoring, [0.0, 0.0, 2.0, 2.0]);
}

#[test]
fn work_that_is_aborted_before_it_begins_ends_its_wait_when_its_turn_comes_and_has_not_run() {
    let (monitoring, runtime) = (Monitoring::builder("test").build().unwrap(), narrow());
    let blocking = Blocking::of(&monitoring).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let _entered = runtime.enter();
    let first = blocking.spawn(move || held.recv().is_err());
    let second = blocking.spawn(|| ());
    until(&monitoring, [1.0, 1.0, 1.0, 0.0]);
    second.abort();
    // Tokio leaves it in the queue until its turn comes.
    drop(release);
    assert!(runtime.block_on(first).unwrap());
    assert!(runtime.block_on(second).unwrap_err().is_cancelled());
    until(&monitoring, [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn a_panic_is_the_join_error_that_it_is_with_tokio_and_the_end_of_the_work() {
    let (monitoring, runtime) = (Monitoring::builder("test").build().unwrap(), narrow());
    let blocking = Blocking::of(&monitoring).unwrap();
    let _entered = runtime.enter();
    let error = runtime.block_on(blocking.spawn(|| panic!("the work's own"))).unwrap_err();
    assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "the work's own");
    until(&monitoring, [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn work_is_done_for_the_tenant_that_asked_for_it() {
    let (monitoring, runtime) = (Monitoring::builder("test").build().unwrap(), narrow());
    let blocking = Blocking::of(&monitoring).unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    let found = runtime.block_on(acme.scope(async { blocking.spawn(Tenant::current).await.unwrap() }));
    assert_eq!(found, acme);
    // The thread is used again, by nobody.
    assert_eq!(runtime.block_on(async { blocking.spawn(Tenant::current).await.unwrap() }), Tenant::NONE);
}

#[test]
fn before_the_monitoring_is_installed_work_is_only_done() {
    let runtime = narrow();
    assert_eq!(runtime.block_on(async { spawn_blocking(|| 7).await.unwrap() }), 7);
}
