//! The handles in between.

use std::thread;
use std::time::Instant;

use metrics_util::MetricKindMask;

use super::*;

fn counting() -> (Arc<Counting>, Side) {
    let recorder = Arc::new(Counting::default());
    let monitoring = Monitoring::builder("test").record_into(Arc::clone(&recorder)).build().unwrap();
    (recorder, Side::of(monitoring))
}

#[test]
fn a_handle_is_asked_for_once_while_its_series_is_in_use() {
    let (recorder, side) = counting();
    let labels = side.labels("/a", None);
    for _ in 0..10 {
        side.counter.add(labels, 1);
        side.monitoring.registry().beat();
    }
    assert_eq!(recorder.handles.load(Ordering::Relaxed), 1);
    assert_eq!(recorder.told.load(Ordering::Relaxed), 10);
}

#[test]
fn the_handle_of_an_idle_series_is_dropped_and_asked_for_anew() {
    let (recorder, side) = counting();
    let labels = side.labels("/a", None);
    side.counter.add(labels, 1);
    side.duration.record(labels, Duration::from_secs(1));
    side.monitoring.registry().beat();
    assert_eq!((handles(&side, &COUNTER), handles(&side, &DURATION)), (1, 1));
    side.monitoring.registry().beat();
    assert_eq!((handles(&side, &COUNTER), handles(&side, &DURATION)), (0, 0));
    side.counter.add(labels, 1);
    assert_eq!(handles(&side, &COUNTER), 1);
    assert_eq!((recorder.handles.load(Ordering::Relaxed), recorder.told.load(Ordering::Relaxed)), (3, 2));
}

#[test]
fn what_is_recorded_after_the_exporter_has_dropped_an_idle_series_counts_anew() {
    let timeout = Some(Duration::from_millis(20));
    let pair = Pair::with(CardinalityBudget::default(), exporter().idle_timeout(MetricKindMask::ALL, timeout));
    let side = &pair.outbound;
    let labels = side.labels("/a", None);
    let value = || pair.endpoint.render().parse::<Samples>().unwrap().value("test_counter_total", &[("route", "/a")]);
    side.counter.add(labels, 1);
    assert_eq!(value(), Some(1.0));
    side.monitoring.registry().beat();
    side.monitoring.registry().beat();
    eventually("the exporter drops the series", || value().is_none());
    side.counter.add(labels, 2);
    assert_eq!(value(), Some(2.0));
}

#[test]
fn gauges_and_up_down_counters_are_kept_while_they_are_something() {
    let (_recorder, side) = counting();
    let labels = side.labels("/a", None);
    side.gauge.set(labels, 1.0);
    side.level.add(labels, 1);
    for _ in 0..3 {
        side.monitoring.registry().beat();
        assert_eq!((handles(&side, &GAUGE), handles(&side, &LEVEL)), (1, 1));
    }
    side.gauge.clear(labels);
    for _ in 0..2 {
        side.monitoring.registry().beat();
    }
    assert_eq!((handles(&side, &GAUGE), handles(&side, &LEVEL)), (0, 1));
}

#[test]
fn a_family_is_described_once() {
    let (recorder, side) = counting();
    let before = recorder.described.load(Ordering::Relaxed);
    for route in ["/a", "/b", "/c"] {
        side.counter.add(side.labels(route, None), 1);
    }
    assert_eq!(recorder.described.load(Ordering::Relaxed) - before, 1);
}

#[test]
fn threads_that_meet_lose_nothing_and_count_nothing_twice() {
    const THREADS: i64 = 8;
    const ROUNDS: i64 = 2_000;
    let pair = Pair::new(CardinalityBudget::default());
    let side = &pair.outbound;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                side.monitoring.registry().beat();
            }
        });
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn(move || {
                    let tenant = side.monitoring.tenants().lookup("acme");
                    for round in 0..ROUNDS {
                        let labels = side.labels(["/a", "/b"][(round % 2) as usize], None);
                        let _in_flight = side.level.in_flight(labels);
                        side.level.add(labels, 1);
                        side.counter.add(labels, 1);
                        side.tenant_counter.add(tenant, labels, 1);
                        side.duration.record(labels, Duration::from_millis(1));
                        side.gauge.set(labels, (number * ROUNDS + round) as f64);
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
    });
    let total = (THREADS * ROUNDS) as f64;
    let [_, theirs] = pair.samples();
    for name in ["test_level", "test_counter_total", "test_tenant_counter_total", "test_duration_seconds_count"] {
        assert_eq!(theirs.sum(name, &[]), total, "{name}");
    }
    // Whichever was set last, the store and the exporter agree about it.
    let store = (0..).map_while(|place| side.monitoring.registry().family_at(place));
    let gauges = store.filter(|family| family.name() == "test_gauge_ratio");
    let mut series = crate::store::Series::default();
    let mut values = Vec::new();
    for family in gauges {
        while family.read(crate::store::View::Whole, &mut series) {
            values.extend(series.words.iter().map(|word| f64::from_bits(*word)));
            series.advance();
        }
    }
    let theirs = ["/a", "/b"].map(|route| theirs.value("test_gauge_ratio", &[("route", route)]).unwrap());
    values.sort_by(f64::total_cmp);
    let mut theirs = theirs.to_vec();
    theirs.sort_by(f64::total_cmp);
    assert_eq!(values, theirs);
}

#[test]
fn a_recorder_that_panics_when_it_is_kept_up_to_date_is_counted() {
    let (recorder, side) = counting();
    side.gauge.set(side.labels("/a", None), 1.0);
    recorder.panics.store(true, Ordering::Relaxed);
    // A gauge that it has not been asked for yet.
    side.monitoring.registry().on_collect({
        let (gauge, labels) = (side.gauge.clone(), side.labels("/b", None));
        move || {
            gauge.set(labels, 1.0);
            crate::Collect::Keep
        }
    });
    side.monitoring.collect();
    recorder.panics.store(false, Ordering::Relaxed);
    let failures = side.monitoring.registry().collect_failures();
    assert!(failures > 0, "{failures}");
    side.monitoring.collect();
    assert_eq!(handles(&side, &GAUGE), 2);
}

#[test]
fn a_collector_that_hangs_holds_up_no_beat() {
    let pair = Pair::new(CardinalityBudget::default());
    let side = &pair.outbound;
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    side.monitoring.registry().on_collect(move || {
        let _ = held.lock().unwrap().recv();
        crate::Collect::Remove
    });
    side.level.add(side.labels("/a", None), 4);
    for _ in 0..3 {
        side.monitoring.registry().beat();
    }
    let samples: Samples = pair.endpoint.render().parse().unwrap();
    assert_eq!(samples.value("test_level", &[("route", "/a")]), Some(4.0));
    assert!(samples.value("monitoring_series", &[("family", "test_level")]).is_some());
    drop(let_go);
}

/// Waits until that holds.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::yield_now();
    }
}

#[test]
fn the_thread_hands_on_at_once_what_is_collected() {
    let recorder = exporter().build_recorder();
    let endpoint = recorder.handle();
    let _monitoring = Monitoring::builder("test").record_into(recorder).build().unwrap();
    eventually("the number of tenants is known", || endpoint.render().contains("monitoring_tenants 0\n"));
}

#[test]
fn the_thread_ends_with_the_shutdown_or_with_the_last_handle() {
    let recorder = Arc::new(Counting::default());
    let monitoring = || Monitoring::builder("test").record_into(Arc::clone(&recorder)).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stopped = monitoring();
    let registry = stopped.registry().clone();
    runtime.block_on(stopped.shutdown(Duration::from_secs(5))).unwrap();
    drop(stopped);
    eventually("the thread has let go of the store after the shutdown", || registry.handles() == 1);

    let dropped = monitoring();
    let registry = dropped.registry().clone();
    drop(dropped);
    eventually("the thread has let go of the store after the drop", || registry.handles() == 1);
}

#[test]
fn nothing_is_handed_on_when_monitoring_is_switched_off() {
    let recorder = Arc::new(Counting::default());
    let mut builder = Monitoring::builder("test").record_into(Arc::clone(&recorder));
    builder.config.enabled = false;
    let side = Side::of(builder.build().unwrap());
    side.counter.add(side.labels("/a", None), 1);
    assert_eq!(recorder.handles.load(Ordering::Relaxed), 0);
}
