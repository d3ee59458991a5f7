//! Threads that record while others render.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use super::super::{Counter, Gauge, Histogram, TenantCounter, TenantHistogram, UpDownCounter};
use super::*;

const THREADS: usize = 8;

/// Runs `record` on several threads at once, and `scrape` on this one until they are done, then once more.
fn record_and_scrape(record: impl Fn(usize) + Sync, mut scrape: impl FnMut()) {
    let running = AtomicBool::new(true);
    let start = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        let recorders: Vec<_> = (0..THREADS)
            .map(|number| {
                let (start, record) = (&start, &record);
                scope.spawn(move || {
                    start.wait();
                    record(number);
                })
            })
            .collect();
        let running = &running;
        let watcher = scope.spawn(move || {
            for recorder in recorders {
                recorder.join().unwrap();
            }
            running.store(false, Ordering::Release);
        });
        start.wait();
        while running.load(Ordering::Acquire) {
            scrape();
        }
        watcher.join().unwrap();
        scrape();
    });
}

/// Compares each scrape with the one before.
#[derive(Default)]
struct Monotony {
    before: Samples,
}

impl Monotony {
    fn check(&mut self, samples: Samples, prefix: &str) {
        for (series, value) in self.before.iter() {
            if series.name.starts_with(prefix) {
                let labels: Vec<_> = series.labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
                let now = samples.value(&series.name, &labels).unwrap_or_else(|| panic!("{series} has gone"));
                assert!(now >= value, "{series} fell from {value} to {now}");
            }
        }
        self.before = samples;
    }
}

/// In each histogram of that name: buckets ascend, the last one is the count, and the sum is not below what was counted.
fn check_histograms(samples: &Samples, name: &str, at_least_each: f64) {
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, value) in samples.iter().filter(|(series, _)| series.name == format!("{name}_bucket")) {
        let mut labels = series.labels.clone();
        let bound = labels.remove("le").unwrap();
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
        buckets.entry(labels).or_default().push((bound, value));
    }
    for (labels, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name} {labels:?}: {buckets:?}");
        let labels: Vec<_> = labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let count = samples.value(&format!("{name}_count"), &labels).unwrap();
        let sum = samples.value(&format!("{name}_sum"), &labels).unwrap();
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name} {labels:?}");
        assert!(sum >= count * at_least_each * 0.999_999, "{name} {labels:?}: sum {sum} of {count}");
    }
}

#[test]
fn nothing_is_lost_and_no_counter_falls_while_scrapes_run() {
    const ROUNDS: u64 = 10_000;
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let of_tenant: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let tenants: Vec<_> = (0..5).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let colors = [Color::Red, Color::Blue, Color::None].map(|color| labels(&monitoring, color, "a"));
    let mut monotony = Monotony::default();

    record_and_scrape(
        |number| {
            for round in 0..ROUNDS as usize {
                counter.add(colors[round % 3], 2);
                of_tenant.add(tenants[(round + number) % 5], colors[round % 3], 3);
            }
        },
        || monotony.check(samples(&monitoring), "test_"),
    );

    let records = (THREADS as u64 * ROUNDS) as f64;
    assert_eq!(monotony.before.sum("test_counter_total", &[]), 2.0 * records);
    assert_eq!(monotony.before.sum("test_tenant_total", &[]), 3.0 * records);
    assert_eq!(monotony.before.sum("test_tenant_total", &[("tenant", "tenant-3")]), 3.0 * records / 5.0);
}

#[test]
fn every_scrape_shows_histograms_that_add_up() {
    const ROUNDS: u32 = 10_000;
    let monitoring = monitoring();
    let duration: Histogram<Labels> = monitoring.registry().histogram(&DURATION).unwrap();
    let of_tenant: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let tenants: Vec<_> = (0..3).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let labels = labels(&monitoring, Color::Red, "a");
    let mut monotony = Monotony::default();

    record_and_scrape(
        |number| {
            for round in 0..ROUNDS {
                let value = Duration::from_millis(u64::from(5 + round % 4 * 400));
                duration.record(labels, value);
                of_tenant.record(tenants[(round as usize + number) % 3], labels, value);
            }
        },
        || {
            let samples = samples(&monitoring);
            check_histograms(&samples, "test_duration_seconds", 0.005);
            check_histograms(&samples, "test_tenant_duration_seconds", 0.005);
            monotony.check(samples, "test_");
        },
    );

    let records = f64::from(THREADS as u32 * ROUNDS);
    let mean = (0.005 + 0.405 + 0.805 + 1.205) / 4.0;
    for name in ["test_duration_seconds", "test_tenant_duration_seconds"] {
        assert_eq!(monotony.before.sum(&format!("{name}_count"), &[]), records);
        assert!((monotony.before.sum(&format!("{name}_sum"), &[]) - records * mean).abs() < 1e-6);
        assert_eq!(monotony.before.sum(&format!("{name}_bucket"), &[("le", "1")]), records * 0.75);
    }
}

#[test]
fn a_series_made_by_all_threads_at_once_is_one_series() {
    const SERIES: usize = 2_000;
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let of_tenant: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let tenants: Vec<_> = (0..20).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let mut monotony = Monotony::default();

    record_and_scrape(
        |_| {
            for number in 0..SERIES {
                // The symbol, the combination, the row and the cell are all new.
                let labels = labels(&monitoring, Color::Red, &number.to_string());
                counter.add(labels, 1);
                of_tenant.add(tenants[number % 20], labels, 1);
            }
        },
        || monotony.check(samples(&monitoring), "test_"),
    );

    for name in ["test_counter_total", "test_tenant_total"] {
        let series: Vec<_> = monotony.before.iter().filter(|(series, _)| series.name == name).collect();
        assert_eq!(series.len(), SERIES);
        assert!(series.iter().all(|(_, value)| *value == THREADS as f64), "{name}");
    }
}

#[test]
fn threads_that_race_for_the_last_series_lose_nothing() {
    let monitoring = limited(300, 30, 500);
    let of_tenant: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let duration: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let tenants: Vec<_> = (0..20).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
    let mut monotony = Monotony::default();

    record_and_scrape(
        |_| {
            for number in 0..1_500 {
                let labels = labels(&monitoring, Color::Red, &(number % 750).to_string());
                of_tenant.add(tenants[number % 20], labels, 1);
                duration.record(tenants[number % 20], labels, Duration::from_millis(20));
            }
        },
        || {
            let samples = samples(&monitoring);
            check_histograms(&samples, "test_tenant_duration_seconds", 0.02);
            monotony.check(samples, "test_");
        },
    );

    let records = (THREADS * 1_500) as f64;
    let last = &monotony.before;
    assert_eq!(last.sum("test_tenant_total", &[]), records);
    assert_eq!(last.sum("test_tenant_duration_seconds_count", &[]), records);
    let series = |tenant: &str| {
        last.iter()
            .filter(|(series, _)| series.name == "test_tenant_total")
            .filter(|(series, _)| series.labels.get("tenant").is_some_and(|found| found == tenant))
            .count()
    };
    let known: Vec<_> = (0..20).map(|number| series(&format!("tenant-{number}"))).collect();
    assert!(known.iter().all(|series| *series <= 30) && known.iter().sum::<usize>() <= 300, "{known:?}");
    // All that went to a series of its own, and all that overflowed, is all there was.
    let of_own = last
        .iter()
        .filter(|(series, _)| series.name == "test_tenant_total")
        .filter(|(series, _)| series.labels["tenant"] != "__other__")
        .filter(|(series, _)| !series.labels.contains_key("otel_metric_overflow"))
        .map(|(_, value)| value)
        .sum::<f64>();
    let overflow = last.value("monitoring_series_overflow_total", &[("family", "test_tenant_total")]).unwrap();
    assert_eq!(of_own + overflow, records);
}

#[test]
fn a_scrape_never_sees_less_than_nothing_in_flight() {
    let monitoring = monitoring();
    let level: UpDownCounter<Labels> = monitoring.registry().up_down_counter(&LEVEL).unwrap();
    let labels = labels(&monitoring, Color::Red, "a");
    // Each guard is made by one thread and dropped by another, which has another stripe.
    let (guards, finished): (Vec<_>, Vec<_>) = (0..THREADS / 2).map(|_| mpsc::sync_channel(1)).unzip();
    let finished: Vec<_> = finished.into_iter().map(std::sync::Mutex::new).collect();
    let guards: Vec<_> = guards.into_iter().map(|guards| std::sync::Mutex::new(Some(guards))).collect();
    let mut last = f64::NAN;

    record_and_scrape(
        |number| match number {
            even if even % 2 == 0 => {
                let guards = guards[even / 2].lock().unwrap().take().unwrap();
                for _ in 0..5_000 {
                    guards.send(level.in_flight(labels)).unwrap();
                }
            }
            odd => {
                let finished = finished[odd / 2].lock().unwrap();
                while let Ok(guard) = finished.recv() {
                    drop(guard);
                }
            }
        },
        || {
            // The series is not there before the first guard is.
            last = samples(&monitoring).sum("test_level", &[]);
            // In the channel, waiting to be sent, and being dropped.
            assert!((0.0..=(THREADS / 2 * 3) as f64).contains(&last), "{last} in flight");
        },
    );
    assert_eq!(last, 0.0);
}

#[test]
fn a_new_gauge_is_not_seen_before_it_is_set() {
    let monitoring = monitoring();
    let gauge: Gauge<Labels> = monitoring.registry().gauge(&GAUGE).unwrap();
    record_and_scrape(
        |number| {
            for round in 0..400 {
                gauge.set(labels(&monitoring, Color::Red, &format!("{number}-{round}")), 5.0);
            }
        },
        || {
            let samples = samples(&monitoring);
            let values: BTreeSet<_> = samples
                .iter()
                .filter(|(series, _)| series.name == "test_gauge")
                .map(|(_, value)| value.to_bits())
                .collect();
            assert!(values.iter().all(|value| *value == 5.0_f64.to_bits()), "{values:?}");
        },
    );
    assert_eq!(samples(&monitoring).sum("test_gauge", &[]), 5.0 * 400.0 * THREADS as f64);
}

#[test]
fn scrapes_at_the_same_time_do_not_add_to_what_the_store_tells_of_itself() {
    let monitoring = limited(10, 10, 1);
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    for number in 0..11 {
        counter.add(labels(&monitoring, Color::Red, &number.to_string()), 1);
    }
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..20 {
                    let overflow = [("family", "test_counter_total")];
                    assert_eq!(samples(&monitoring).value("monitoring_series_overflow_total", &overflow), Some(10.0));
                }
            });
        }
    });
}
