//! What records cost in memory: nothing while nobody scrapes, and no more than the budget when hostile tenants come.
//!
//! Each test has a process of its own, because what it measures is the process.

use std::thread;
use std::time::Duration;

use monitoring_core::{CardinalityBudget, Counter, Histogram, Monitoring, Tenant, TenantCounter, TenantHistogram};
use monitoring_tests::exposition::Samples;
use monitoring_tests::{Memory, in_own_process};
use stats_alloc::Region;

use super::ALLOCATOR;
use super::metrics::{DURATION, PLATFORM, Route, SIZE, TENANTS, tenant};

const MIB: u64 = 1 << 20;

/// The memory that `work` leaves in use, by the account of the kernel and by that of the allocator.
struct Growth {
    resident: u64,
    allocated: i64,
}

impl Growth {
    fn of(work: impl FnOnce()) -> Self {
        let before = Memory::of_this_process().unwrap();
        let region = Region::new(ALLOCATOR);
        work();
        let change = region.change();
        let allocated = change.bytes_allocated as i64 - change.bytes_deallocated as i64;
        Self { resident: Memory::of_this_process().unwrap().growth_since(before), allocated }
    }

    fn check(&self, most: u64) {
        let Self { resident, allocated } = *self;
        println!("{resident} bytes more are resident, {allocated} more are allocated");
        assert!(resident <= most, "{resident} bytes more are resident, at most {most} may be");
        assert!(allocated <= most as i64, "{allocated} bytes more are allocated, at most {most} may be");
    }
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

#[test]
fn ten_million_observations_without_a_scrape_take_no_memory() {
    let test = || {
        const THREADS: u64 = 4;
        const OBSERVATIONS: u64 = 10_000_000;
        let monitoring = Monitoring::builder("unscraped").build().unwrap();
        let registry = monitoring.registry();
        let counter: Counter<Route> = registry.counter(&PLATFORM).unwrap();
        let durations: TenantHistogram<Route> = registry.tenant_histogram(&DURATION).unwrap();
        let sizes: Histogram<Route, u64> = registry.histogram(&SIZE).unwrap();
        let tenants: Vec<_> = (0..100).map(|number| tenant(&monitoring, &format!("tenant-{number}"))).collect();
        let routes: Vec<_> = (0..10).map(|number| Route::new(&monitoring, &format!("/{number}"))).collect();
        let observe = |observations: u64| {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for number in 0..observations / THREADS / 2 {
                            let route = routes[number as usize % routes.len()];
                            // A stride that is coprime to the tenants' number meets each tenant on each route.
                            let tenant = tenants[(number / 10 * 7) as usize % tenants.len()];
                            durations.record(tenant, route, Duration::from_micros(number));
                            sizes.record(route, number);
                            counter.add(route, 1);
                        }
                    });
                }
            });
        };
        let warm_up = OBSERVATIONS / 100;
        observe(warm_up);
        Growth::of(|| observe(OBSERVATIONS)).check(MIB);

        let samples = samples(&monitoring);
        for name in ["truth_duration_seconds_count", "truth_size_bytes_count", "truth_platform_total"] {
            assert_eq!(samples.sum(name, &[]), ((warm_up + OBSERVATIONS) / 2) as f64, "{name}");
        }
    };
    in_own_process("memory::ten_million_observations_without_a_scrape_take_no_memory", test).unwrap();
}

#[test]
fn a_million_strangers_take_no_memory_and_no_series_of_the_known() {
    let test = || {
        const STRANGERS: u32 = 1_000_000;
        let monitoring = Monitoring::builder("strangers").max_tenants(100).build().unwrap();
        let counter: TenantCounter<Route> = monitoring.registry().tenant_counter(&TENANTS).unwrap();
        let durations: TenantHistogram<Route> = monitoring.registry().tenant_histogram(&DURATION).unwrap();
        let route = Route::new(&monitoring, "/a");
        let record = |tenant: Tenant| {
            counter.add(tenant, route, 1);
            durations.record(tenant, route, Duration::from_millis(5));
        };
        let known: Vec<_> = (0..100).map(|number| tenant(&monitoring, &format!("known-{number}"))).collect();
        known.iter().copied().for_each(record);
        record(monitoring.tenants().lookup("a-first-stranger"));
        let before = samples(&monitoring);

        let flood = || {
            for number in 0..STRANGERS {
                // One half asks for admission too, which the full registry refuses.
                let id = format!("stranger-{number}");
                let tenants = monitoring.tenants();
                record(if number % 2 == 0 { tenants.lookup(&id) } else { tenants.admit(&id) });
                if number % 10_000 == 0 {
                    record(known[(number / 10_000) as usize]);
                }
            }
        };
        Growth::of(flood).check(MIB);

        let after = samples(&monitoring);
        let strangers = f64::from(STRANGERS);
        for (name, expected) in [("truth_tenants_total", strangers), ("truth_duration_seconds_count", strangers)] {
            let value = after.value(name, &[("tenant", "__unknown__"), ("route", "/a")]);
            assert_eq!(value, Some(expected + 1.0), "{name}");
            for number in 0..100 {
                let value = after.value(name, &[("tenant", &format!("known-{number}")), ("route", "/a")]);
                assert_eq!(value, Some(2.0), "{name} of known-{number}");
            }
        }
        let names = ["truth_tenants_total", "truth_duration_seconds_count"];
        let series = |samples: &Samples| samples.iter().filter(|(series, _)| names.contains(&&*series.name)).count();
        assert_eq!(series(&before), series(&after));
        assert_eq!(after.value("monitoring_tenants_refused_total", &[]), Some(strangers / 2.0));
    };
    in_own_process("memory::a_million_strangers_take_no_memory_and_no_series_of_the_known", test).unwrap();
}

#[test]
fn hostile_tenants_far_over_the_budget_stay_within_it_and_leave_the_known_theirs() {
    let test = || {
        const MAX_TENANTS: u32 = 10_000;
        const STRANGERS: u32 = 1_000_000;
        const ROUTES: usize = 500;
        const PER_FAMILY: usize = 100_000;
        const PER_TENANT: usize = 100;
        let limits = CardinalityBudget::default().per_family(PER_FAMILY).per_tenant(PER_TENANT);
        let builder = Monitoring::builder("hostile").max_tenants(MAX_TENANTS as usize).cardinality_budget(limits);
        let monitoring = builder.build().unwrap();
        let counter: TenantCounter<Route> = monitoring.registry().tenant_counter(&TENANTS).unwrap();
        let durations: TenantHistogram<Route> = monitoring.registry().tenant_histogram(&DURATION).unwrap();
        let routes: Vec<_> = (0..ROUTES).map(|number| Route::new(&monitoring, &format!("/{number}"))).collect();
        let record = |tenant: Tenant, route: usize| {
            counter.add(tenant, routes[route % ROUTES], 1);
            durations.record(tenant, routes[route % ROUTES], Duration::from_millis(5));
        };
        let early: Vec<_> = (0..10).map(|number| tenant(&monitoring, &format!("early-{number}"))).collect();
        let late: Vec<_> = (0..10).map(|number| tenant(&monitoring, &format!("late-{number}"))).collect();
        early.iter().for_each(|tenant| record(*tenant, 0));

        let mut records = 10_u64;
        let flood = || {
            for number in 0..STRANGERS {
                let tenant = monitoring.tenants().admit(&format!("hostile-{number}"));
                // Who was admitted wants a hundred series, ten times as many as there are for each.
                let wanted = if tenant.is_known() { 100 } else { 1 };
                for route in 0..wanted {
                    record(tenant, number as usize + route);
                }
                records += wanted as u64;
            }
        };
        Growth::of(flood).check(64 * MIB);
        for tenant in early.iter().chain(&late) {
            record(*tenant, 0);
            records += 1;
        }

        let text = monitoring.render();
        for name in ["truth_tenants_total", "truth_duration_seconds_count"] {
            let family = name.trim_end_matches("_count");
            // A map of all the lines would take longer than all the rest.
            let value_of = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
            let (mut series, mut sum, mut others) = (0, 0, 0);
            for line in text.lines().filter(|line| line.starts_with(name)) {
                series += 1;
                sum += value_of(line);
                others += if line.contains("tenant=\"__other__\"") { value_of(line) } else { 0 };
            }
            assert_eq!(sum, records, "{name}: nothing is lost");
            assert!(others > 0, "{name}");
            // Half as many again are there for those whom the others left nothing; the reserved tenants have all theirs.
            let most = PER_FAMILY + PER_FAMILY / 2 + 2 * (ROUTES + 1);
            assert!(series <= most, "{name} has {series} series, at most {most} may be");

            let value = |series: &str| {
                let line =
                    text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
                value_of(line.unwrap_or_else(|| panic!("{series} is not there")))
            };
            assert_eq!(value(&format!("monitoring_series_overflow_total{{family=\"{family}\"}}")), others, "{name}");
            assert_eq!(value(&format!("monitoring_series{{family=\"{family}\"}}")), series as u64, "{name}");
            for number in 0..10 {
                let own = |id| value(&format!("{name}{{tenant=\"{id}-{number}\",route=\"/0\"}}"));
                assert_eq!((own("early"), own("late")), (2, 1), "{name}");
            }
        }
    };
    in_own_process("memory::hostile_tenants_far_over_the_budget_stay_within_it_and_leave_the_known_theirs", test)
        .unwrap();
}
