//! Nothing is lost and nothing is inconsistent while threads record and expositions are made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use monitoring_core::{Counter, Histogram, Monitoring, TenantCounter, TenantHistogram};
use monitoring_tests::exposition::Samples;

use super::metrics::{DURATION, PLATFORM, Route, SIZE, TENANTS, tenant};
use super::snapshots::Snapshots;

const THREADS: usize = 8;
const RECORDS: u64 = 100_000_000;
const RENDERS: usize = 10_000;

const TENANT_IDS: [&str; 3] = ["acme", "zeta", "umbrella"];
const ROUTES: [&str; 2] = ["/a", "/b"];

/// What one thread has recorded, by tenant and route: so many rounds of one record into each of the four metrics.
type Rounds = [[u64; ROUTES.len()]; TENANT_IDS.len()];

/// The values that a thread observes on a route.
fn seconds(thread: usize, route: usize) -> u64 {
    [1, 8][(thread + route) % 2]
}

fn bytes(thread: usize, route: usize) -> u64 {
    [64, 4096][(thread + route) % 2]
}

/// Lets the recording threads end, also when a check fails.
struct StopsWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_million_records_of_eight_threads_are_all_there_and_each_of_ten_thousand_renders_is_consistent() {
    let monitoring = Monitoring::builder("truth").build().unwrap();
    let registry = monitoring.registry();
    let platform: Counter<Route> = registry.counter(&PLATFORM).unwrap();
    let of_tenants: TenantCounter<Route> = registry.tenant_counter(&TENANTS).unwrap();
    let durations: TenantHistogram<Route> = registry.tenant_histogram(&DURATION).unwrap();
    let sizes: Histogram<Route, u64> = registry.histogram(&SIZE).unwrap();
    let tenants = TENANT_IDS.map(|id| tenant(&monitoring, id));
    let routes = ROUTES.map(|text| Route::new(&monitoring, text));

    let enough_renders = AtomicBool::new(false);
    let record = |thread: usize| {
        let mut recorded = Rounds::default();
        let mut rounds = 0;
        // A thread that has recorded its share goes on until there are enough renders, so that each of them meets records.
        while rounds < RECORDS / 4 / THREADS as u64 || !enough_renders.load(Ordering::Relaxed) {
            for (tenant, recorded) in tenants.iter().zip(&mut recorded) {
                for ((number, route), recorded) in routes.iter().enumerate().zip(recorded) {
                    platform.add(*route, 1);
                    of_tenants.add(*tenant, *route, 1);
                    durations.record(*tenant, *route, Duration::from_secs(seconds(thread, number)));
                    sizes.record(*route, bytes(thread, number));
                    *recorded += 1;
                    rounds += 1;
                }
            }
        }
        recorded
    };

    let mut snapshots = Snapshots::of_threads(THREADS)
        .observing("truth_duration_seconds", 1.0..=8.0)
        .observing("truth_size_bytes", 64.0..=4096.0);
    let recorded: Vec<Rounds> = thread::scope(|scope| {
        let record = &record;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || record(thread))).collect();
        let mut stop = Some(StopsWhenDropped(&enough_renders));
        while stop.is_some() || threads.iter().any(|thread| !thread.is_finished()) {
            snapshots.check(&monitoring.render());
            stop = stop.filter(|_| snapshots.checked() < RENDERS);
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let total: u64 = recorded.as_flattened().as_flattened().iter().sum();
    assert!(total * 4 >= RECORDS, "{total} rounds");
    let samples: Samples = monitoring.render().parse().unwrap();
    for (route_number, route) in ROUTES.into_iter().enumerate() {
        let by_thread = |tenant: usize| recorded.iter().map(move |rounds| rounds[tenant][route_number]).enumerate();
        let (mut count_of_route, mut bytes_of_route) = (0, 0);
        for (tenant_number, tenant) in TENANT_IDS.into_iter().enumerate() {
            let count: u64 = by_thread(tenant_number).map(|(_, rounds)| rounds).sum();
            let time: u64 =
                by_thread(tenant_number).map(|(thread, rounds)| rounds * seconds(thread, route_number)).sum();
            let labels = [("tenant", tenant), ("route", route)];
            for (name, expected) in [
                ("truth_tenants_total", count),
                ("truth_duration_seconds_count", count),
                ("truth_duration_seconds_sum", time),
            ] {
                assert_eq!(samples.value(name, &labels), Some(expected as f64), "{name} {labels:?}");
            }
            count_of_route += count;
            let of_tenant = by_thread(tenant_number).map(|(thread, rounds)| rounds * bytes(thread, route_number));
            bytes_of_route += of_tenant.sum::<u64>();
        }
        for (name, expected) in [
            ("truth_platform_total", count_of_route),
            ("truth_size_bytes_count", count_of_route),
            ("truth_size_bytes_sum", bytes_of_route),
        ] {
            assert_eq!(samples.value(name, &[("route", route)]), Some(expected as f64), "{name} {route}");
        }
    }
}
