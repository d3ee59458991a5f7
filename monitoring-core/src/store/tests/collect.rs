//! Collectors, which run before each scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::super::{Collect, Gauge};
use super::*;

const SIMPLE: Descriptor = Descriptor::gauge("test.collected", THINGS, "Things.");

fn failures(samples: &Samples) -> Option<f64> {
    samples.value("monitoring_collect_failures_total", &[])
}

#[test]
fn a_collector_runs_before_each_scrape_and_sets_what_it_shows() {
    let monitoring = monitoring();
    let gauge: Gauge<()> = monitoring.registry().gauge(&SIMPLE).unwrap();
    let runs = AtomicU64::new(0);
    monitoring.registry().on_collect(move || {
        gauge.set((), (runs.fetch_add(1, Ordering::Relaxed) + 1) as f64);
        Collect::Keep
    });
    for expected in [1.0, 2.0, 3.0] {
        assert_eq!(samples(&monitoring).value("test_collected", &[]), Some(expected));
    }
}

#[test]
fn a_collector_that_asks_to_be_removed_runs_once_and_is_dropped() {
    let monitoring = monitoring();
    let runs = Arc::new(AtomicU64::new(0));
    for collect in [Collect::Keep, Collect::Remove, Collect::Keep] {
        let runs = Arc::clone(&runs);
        monitoring.registry().on_collect(move || {
            runs.fetch_add(1, Ordering::Relaxed);
            collect
        });
    }
    monitoring.render();
    assert_eq!((runs.load(Ordering::Relaxed), Arc::strong_count(&runs)), (3, 3));
    monitoring.render();
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[test]
fn a_panic_in_a_collector_is_counted_and_the_others_run() {
    let monitoring = monitoring();
    let gauge: Gauge<()> = monitoring.registry().gauge(&SIMPLE).unwrap();
    monitoring.registry().on_collect(|| panic!("a collector's panic"));
    monitoring.registry().on_collect(move || {
        gauge.set((), 1.0);
        Collect::Keep
    });
    assert_eq!(failures(&samples(&monitoring)), Some(1.0));
    let second = samples(&monitoring);
    assert_eq!(failures(&second), Some(2.0));
    assert_eq!(second.value("test_collected", &[]), Some(1.0));
}

#[test]
fn a_collector_may_register_collectors_and_families() {
    let monitoring = monitoring();
    // A strong handle, so that the collector can do all that a program can.
    let registry = monitoring.registry().clone();
    monitoring.registry().on_collect(move || {
        let gauge: Gauge<()> = registry.gauge(&SIMPLE).unwrap();
        registry.on_collect(move || {
            gauge.set((), 7.0);
            Collect::Remove
        });
        Collect::Remove
    });
    assert_eq!(samples(&monitoring).value("test_collected", &[]), None);
    assert_eq!(samples(&monitoring).value("test_collected", &[]), Some(7.0));
}

#[test]
fn a_collector_that_registers_another_when_it_is_dropped_does_not_deadlock() {
    struct Again(super::super::Registry);
    impl Drop for Again {
        fn drop(&mut self) {
            self.0.on_collect(|| Collect::Keep);
        }
    }
    let monitoring = monitoring();
    let again = Again(monitoring.registry().clone());
    monitoring.registry().on_collect(move || {
        let _ = &again;
        Collect::Remove
    });
    monitoring.render();
    assert_eq!(failures(&samples(&monitoring)), Some(0.0));
}

/// One whose collector waits until the sender is dropped; how often it has begun.
fn hanging() -> (crate::Monitoring, mpsc::Sender<()>, Arc<AtomicU64>) {
    let monitoring = monitoring();
    let (end, hang) = mpsc::channel::<()>();
    let (hang, runs) = (std::sync::Mutex::new(hang), Arc::new(AtomicU64::new(0)));
    monitoring.registry().on_collect({
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, Ordering::Relaxed);
            let _ended = hang.lock().unwrap().recv();
            Collect::Keep
        }
    });
    (monitoring, end, runs)
}

async fn collected(monitoring: &crate::Monitoring, patience: Duration) -> Samples {
    let exposition = monitoring.collected_exposition_in(crate::Format::Text, patience).await;
    String::from_utf8(exposition.collect::<Vec<_>>().concat()).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_collector_that_hangs_is_waited_for_once_and_begun_once() {
    let (monitoring, end, runs) = hanging();
    let patience = Duration::from_millis(200);
    let begun = Instant::now();
    for failed in 1..=20 {
        assert_eq!(failures(&collected(&monitoring, patience).await), Some(f64::from(failed)));
    }
    assert!(begun.elapsed() < 5 * patience, "{:?}", begun.elapsed());
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // When it has ended, it runs again.
    drop(end);
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs.load(Ordering::Relaxed) == 1 {
        assert!(Instant::now() < deadline, "it is not begun again");
        collected(&monitoring, patience).await;
    }
}

#[test]
fn a_runtime_ends_while_a_collector_hangs() {
    let (monitoring, _end, runs) = hanging();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(collected(&monitoring, Duration::from_millis(50)));
    drop(runtime);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn tenants_that_ask_at_once_share_the_run_of_the_collectors_and_the_platform_is_left_alone() {
    let monitoring = monitoring();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), crate::Tier::Free).unwrap();
    let runs = Arc::new(AtomicU64::new(0));
    monitoring.registry().on_collect({
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, Ordering::Relaxed);
            Collect::Keep
        }
    });
    let begun = Instant::now();
    for _ in 0..100 {
        let text = crate::Format::Text;
        let of_tenant = monitoring.collected_exposition_of(acme, text, Duration::from_secs(10)).await;
        assert_eq!(of_tenant.count(), 0);
        monitoring.exposition_of(acme, text).for_each(drop);
    }
    let most = 1 + begun.elapsed().as_millis() / 500;
    assert!((1..=most).contains(&u128::from(runs.load(Ordering::Relaxed))));
    // What the store says of itself is a platform's: it was not brought up to date.
    let registry = monitoring.registry();
    let family =
        (0..).map_while(|place| registry.family_at(place)).find(|family| family.name() == "monitoring_tenants");
    let mut series = crate::store::Series::default();
    assert!(!family.unwrap().read(crate::store::View::Whole, &mut series), "a tenant's scrape counts tenants");
}
