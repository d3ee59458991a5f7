//! What a scrape tells of this process and its runtimes.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use monitoring_tests::exposition::Samples;
use tokio::runtime::{Builder, Runtime};

use super::super::runtimes::BEAT;
use super::*;

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

#[track_caller]
fn until(monitoring: &Monitoring, is_so: impl Fn(&Samples) -> bool) -> Samples {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let samples = samples(monitoring);
        if is_so(&samples) {
            return samples;
        }
        assert!(Instant::now() < deadline, "it never was so:\n{}", monitoring.render());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runtime(name: &str, workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).name(name).build().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_tells_its_time_its_memory_and_its_files() {
    let monitoring = monitoring();
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    observe(&monitoring, &RuntimeConfig::new()).unwrap();
    let first = samples(&monitoring);
    let value =
        |samples: &Samples, name: &str| samples.value(name, &[]).unwrap_or_else(|| panic!("{name} is not told"));
    assert!(value(&first, "process_memory_usage_bytes") > 1_000_000.0);
    assert!(value(&first, "process_memory_virtual_bytes") > value(&first, "process_memory_usage_bytes"));
    assert!(value(&first, "process_thread_count") >= 2.0, "the test's own and the main one");
    assert!(value(&first, "saas_process_unix_file_descriptor_limit") > 0.0);
    let (started, age) = (value(&first, "process_start_time_seconds"), value(&first, "process_uptime_seconds"));
    // The kernel keeps both to a hundredth of a second, and the time of the boot to a second.
    assert!((before - started - age).abs() < 3.0 && age >= 0.0, "started {started}, for {age}, now {before}");

    // Other tests open files too, so only what is surely more is asked for.
    let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let more = value(&first, "process_unix_file_descriptor_count") + 200.0;
    let second = until(&monitoring, |samples| value(samples, "process_unix_file_descriptor_count") >= more);
    drop(files);
    let user = [("cpu_mode", "user")];
    let used = second.value("process_cpu_time_seconds_total", &user).unwrap();
    until(&monitoring, |samples| samples.value("process_cpu_time_seconds_total", &user).unwrap() > used);
    assert!(second.value("process_cpu_time_seconds_total", &[("cpu_mode", "system")]).is_some());
}

#[test]
fn a_monitoring_looks_once_and_one_that_is_off_or_told_so_not_at_all() {
    let monitoring = monitoring();
    observe(&monitoring, &RuntimeConfig::off()).unwrap();
    assert_eq!(monitoring.render().matches("process_").count(), 0);
    observe(&monitoring, &RuntimeConfig::new()).unwrap();
    let error = observe(&monitoring, &RuntimeConfig::new()).unwrap_err();
    assert_eq!(error, ObserveError::AlreadyObserved);
    assert!(format!("{error:?}").contains("`MonitoringBuilder::runtime`"));
}

#[test]
fn runtimes_are_told_apart_by_name_and_an_ended_one_is_taken_out() {
    let monitoring = monitoring();
    let (api, ingest) = (runtime("api", 1), runtime("ingest", 2));
    for runtime in [&api, &ingest, &api] {
        attach(&monitoring, runtime.handle()).unwrap();
    }
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let task = ingest.spawn(held);
    let workers = |samples: &Samples, name| samples.value("saas_tokio_workers", &[("runtime", name)]);
    let first = until(&monitoring, |samples| samples.value("saas_tokio_tasks", &[("runtime", "ingest")]) == Some(1.0));
    assert_eq!((workers(&first, "api"), workers(&first, "ingest")), (Some(1.0), Some(2.0)));
    assert_eq!(first.value("saas_tokio_tasks", &[("runtime", "api")]), Some(0.0));
    // The probe may be in it.
    until(&monitoring, |samples| samples.value("saas_tokio_global_queue_depth", &[("runtime", "api")]) == Some(0.0));
    for worker in ["0", "1"] {
        let labels = [("runtime", "ingest"), ("worker", worker)];
        assert!(first.value("saas_tokio_busy_time_seconds_total", &labels).is_some(), "worker {worker}");
    }
    drop(release);
    assert!(ingest.block_on(task).unwrap().is_err());
    drop(ingest);
    let last = until(&monitoring, |samples| workers(samples, "ingest") == Some(0.0));
    assert_eq!(workers(&last, "api"), Some(1.0));
}

#[test]
fn the_delay_of_a_runtime_is_probed_without_its_timer_and_whatever_its_flavor() {
    let monitoring = monitoring();
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let single = std::thread::spawn({
        let monitoring = monitoring.clone();
        move || {
            let runtime = Builder::new_current_thread().name("single").build().unwrap();
            attach(&monitoring, runtime.handle()).unwrap();
            runtime.block_on(held).unwrap_err();
        }
    });
    let multi = runtime("multi", 1);
    attach(&monitoring, multi.handle()).unwrap();
    let delays = |samples: &Samples, name| {
        samples.value("saas_tokio_scheduling_delay_seconds_count", &[("runtime", name)]).unwrap_or(0.0)
    };
    until(&monitoring, |samples| delays(samples, "single") >= 3.0 && delays(samples, "multi") >= 3.0);
    drop(release);
    single.join().unwrap();
    until(&monitoring, |samples| samples.value("saas_tokio_workers", &[("runtime", "single")]) == Some(0.0));
}

#[test]
fn a_worker_that_is_stuck_is_told_while_it_is_and_its_busy_time_when_it_is_over() {
    let monitoring = monitoring();
    let runtime = runtime("stuck", 1);
    attach(&monitoring, runtime.handle()).unwrap();
    let labels = [("runtime", "stuck")];
    let stalled = |samples: &Samples| samples.value("saas_tokio_stall_time_seconds_total", &labels).unwrap_or(0.0);
    let before = until(&monitoring, |samples| samples.value("saas_tokio_stalls_total", &labels).is_some());
    let (release, held) = mpsc::channel::<()>();
    let begun = Instant::now();
    let task = runtime.spawn(async move { held.recv().is_err() });
    let least = 5.0 * BEAT.as_secs_f64();
    let stalls = |samples: &Samples| samples.value("saas_tokio_stalls_total", &labels).unwrap_or(0.0);
    let stuck = until(&monitoring, |samples| stalled(samples) >= stalled(&before) + least);
    assert!(stalls(&stuck) > stalls(&before));
    assert!(stalled(&stuck) - stalled(&before) <= begun.elapsed().as_secs_f64() + BEAT.as_secs_f64());
    // It is one, however long it takes.
    let longer = until(&monitoring, |samples| stalled(samples) >= stalled(&stuck) + least);
    assert_eq!(stalls(&longer), stalls(&stuck));
    drop(release);
    assert!(runtime.block_on(task).unwrap());
    until(&monitoring, |samples| {
        samples.sum("saas_tokio_busy_time_seconds_total", &labels) >= 2.0 * least
            && samples.sum("saas_tokio_scheduling_delay_seconds_sum", &labels) >= least
    });
}

#[test]
fn one_stuck_worker_of_two_is_seen_though_the_other_runs_all_tasks() {
    let monitoring = monitoring();
    let runtime = runtime("pair", 2);
    attach(&monitoring, runtime.handle()).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let task = runtime.spawn(async move { held.recv().is_err() });
    let labels = [("runtime", "pair")];
    until(&monitoring, |samples| samples.value("saas_tokio_stall_time_seconds_total", &labels) > Some(0.2));
    drop(release);
    assert!(runtime.block_on(task).unwrap());
}

#[test]
fn an_idle_runtime_is_not_stuck() {
    let monitoring = monitoring();
    let runtime = runtime("idle", 2);
    attach(&monitoring, runtime.handle()).unwrap();
    let labels = [("runtime", "idle")];
    let probed = "saas_tokio_scheduling_delay_seconds_count";
    let deadline = Instant::now() + Duration::from_secs(30);
    // A system that is busy with other work may stop a thread for long, but not each time.
    let mut last = until(&monitoring, |samples| samples.value(probed, &labels) >= Some(1.0));
    loop {
        let from = last.value(probed, &labels).unwrap_or(0.0);
        let next = until(&monitoring, |samples| samples.value(probed, &labels) >= Some(from + 5.0));
        let stalls = |samples: &Samples| samples.value("saas_tokio_stalls_total", &labels);
        if stalls(&next) == stalls(&last) {
            return;
        }
        assert!(Instant::now() < deadline, "an idle worker is taken for one that is stuck");
        last = next;
    }
}

#[test]
fn what_looks_at_a_runtime_ends_with_the_monitoring_and_leaves_no_task() {
    let monitoring = monitoring();
    let runtime = runtime("outlives", 1);
    attach(&monitoring, runtime.handle()).unwrap();
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    let registry = monitoring.registry().clone();
    drop(monitoring);
    let deadline = Instant::now() + Duration::from_secs(10);
    while runtime.metrics().num_alive_tasks() != 0 {
        assert!(Instant::now() < deadline, "the probe is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(registry);
}

#[test]
fn a_runtime_that_has_ended_can_be_attached_to_no_effect() {
    let monitoring = monitoring();
    let runtime = runtime("over", 1);
    let handle = runtime.handle().clone();
    drop(runtime);
    attach(&monitoring, &handle).unwrap();
    until(&monitoring, |samples| samples.value("saas_tokio_workers", &[("runtime", "over")]) == Some(0.0));
}
