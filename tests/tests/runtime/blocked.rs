//! The alert RuntimeBlocked of the guide, provoked on a normal build: its own expression, over seconds in place of minutes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use monitoring_core::runtime;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{Watched, block};

/// The expression, and its three conditions alone: busy, stuck, late.
fn expressions() -> (String, [String; 3]) {
    let rule: Value = serde_saphyr::from_str(block("yaml")).unwrap();
    assert_eq!(rule["alert"], "RuntimeBlocked");
    let expression = rule["expr"].as_str().unwrap().replace("[5m]", "[4s]");
    let conditions: Vec<String> = expression.split(" or ").map(str::to_owned).collect();
    (expression, conditions.try_into().unwrap())
}

fn single(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(1).name(name).build().unwrap()
}

fn of(found: &[Value], runtime: &str) -> bool {
    found.iter().any(|sample| sample["metric"]["runtime"] == runtime && sample["metric"]["job"] == "billing")
}

#[test]
fn a_worker_that_hangs_provokes_the_alert_while_it_hangs_and_one_that_idles_does_not() {
    let (watched, tokio, idle) = (Watched::start(), single("hangs"), single("idles"));
    runtime::attach(&watched.monitoring, tokio.handle()).unwrap();
    runtime::attach(&watched.monitoring, idle.handle()).unwrap();
    let (alert, [_, stuck, _]) = expressions();
    watched.until("rate(saas_tokio_stall_time_seconds_total[4s])", |found| of(found, "hangs") && of(found, "idles"));
    watched.until(&alert, |found| found.is_empty());

    let (release, held) = mpsc::channel::<()>();
    let task = tokio.spawn(async move { held.recv().is_err() });
    watched.until(&stuck, |found| of(found, "hangs"));
    watched.until(&alert, |found| of(found, "hangs") && !of(found, "idles"));
    // It has told so while it hangs.
    assert!(!task.is_finished());

    drop(release);
    assert!(tokio.block_on(task).unwrap());
    watched.until(&alert, |found| found.is_empty());
}

#[test]
fn tasks_that_block_for_a_moment_again_and_again_provoke_it_by_the_busy_time_and_the_delay() {
    let (watched, tokio) = (Watched::start(), single("chokes"));
    runtime::attach(&watched.monitoring, tokio.handle()).unwrap();
    let (alert, [busy, _, late]) = expressions();
    watched.until("saas_tokio_workers", |found| of(found, "chokes"));

    let is_over = Arc::new(AtomicBool::new(false));
    let task = tokio.spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(150) {
                    std::hint::spin_loop();
                }
                tokio::task::yield_now().await;
            }
        }
    });
    for condition in [busy, late, alert] {
        watched.until(&condition, |found| of(found, "chokes"));
    }
    is_over.store(true, Ordering::Relaxed);
    tokio.block_on(task).unwrap();
}
