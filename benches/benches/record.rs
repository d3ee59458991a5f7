//! One counter and one histogram sample, labels tenant, route, method and status, as a user writes it.
//!
//! `cargo bench -p monitoring-benches --bench record`; with `-- --quick` in a few seconds.

use std::error::Error;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use monitoring_benches::{Allocator, Effort, INSTRUMENTED_SYSTEM, Variant, measure, table};
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{
    LabelSet, LabelValue, Monitoring, StatusCode, Symbol, Tenant, TenantCounter, TenantHistogram, Tier,
};

#[global_allocator]
static ALLOCATOR: &Allocator = &INSTRUMENTED_SYSTEM;

const ROUTES: usize = 20;
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const REQUESTS: Descriptor = Descriptor::counter("bench.requests", Unit::Count("{request}"), "Requests.")
    .labels(&["route", "method", "status"])
    .per_tenant();
const DURATION: Descriptor = Descriptor::histogram("bench.duration", Unit::Seconds, BUCKETS, "Durations.")
    .labels(&["route", "method", "status"])
    .per_tenant();

#[derive(Clone, Copy, LabelValue)]
enum Method {
    #[label("GET")]
    Get,
}

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    route: Symbol,
    method: Method,
    status: StatusCode,
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let effort =
        if quick { Effort { rounds: 3, iterations: 200_000 } } else { Effort { rounds: 11, iterations: 1_000_000 } };
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".into()), BUCKETS)?
        .install_recorder()?;
    for tenants in [1_000, 10_000] {
        run(tenants, effort, &exporter)?;
    }
    Ok(())
}

fn run(tenants: usize, effort: Effort, exporter: &PrometheusHandle) -> Result<(), Box<dyn Error>> {
    let limits = monitoring_core::SeriesLimits::default().per_family(tenants * ROUTES);
    let monitoring = Monitoring::builder("bench").series_limits(limits).build()?;
    let requests: TenantCounter<Labels> = monitoring.registry().tenant_counter(&REQUESTS)?;
    let durations: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&DURATION)?;
    let names: Vec<String> = (0..tenants).map(|tenant| format!("tenant-{tenant:05}")).collect();
    let handles: Vec<Tenant> = names
        .iter()
        .map(|name| Ok(monitoring.tenants().register(name.parse()?, Tier::Standard)?))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let routes: Vec<String> = (0..ROUTES).map(|route| format!("/v1/resource{route}/{{id}}")).collect();
    let symbols: Vec<Symbol> = routes.iter().map(|route| monitoring.registry().symbol(route)).collect();
    let record = |tenant: Tenant, route: Symbol| {
        let labels = Labels { route, method: Method::Get, status: StatusCode::new(200) };
        requests.add(tenant, labels, 1);
        durations.record(tenant, labels, Duration::from_millis(30));
    };

    let mut variants = [
        Variant::new("the loop alone", "nothing", |iterations| {
            for (tenant, route) in picks(iterations, tenants) {
                std::hint::black_box((handles.get(tenant), symbols.get(route)));
            }
        }),
        Variant::new(OURS, "counter and histogram per tenant", |iterations| {
            for (tenant, route) in picks(iterations, tenants) {
                if let (Some(tenant), Some(route)) = (handles.get(tenant), symbols.get(route)) {
                    record(*tenant, *route);
                }
            }
        }),
        Variant::new("ours, tenant and route as strings", "the same", |iterations| {
            for (tenant, route) in picks(iterations, tenants) {
                if let (Some(tenant), Some(route)) = (names.get(tenant), routes.get(route)) {
                    record(monitoring.tenants().lookup(tenant), monitoring.registry().symbol(route));
                }
            }
        }),
        Variant::new("metrics + exporter", "the same", |iterations| {
            // As a user writes it: the macros want owned label values.
            for (tenant, route) in picks(iterations, tenants) {
                if let (Some(tenant), Some(route)) = (names.get(tenant), routes.get(route)) {
                    let labels = [
                        ("tenant", tenant.clone()),
                        ("route", route.clone()),
                        ("method", String::from("GET")),
                        ("status", String::from("200")),
                    ];
                    metrics::counter!("bench_requests_total", &labels).increment(1);
                    metrics::histogram!("bench_duration_seconds", &labels).record(0.03);
                }
            }
            // The exporter keeps every sample until it is told to aggregate: in service, every few seconds.
            exporter.run_upkeep();
        }),
    ];
    let costs = measure(&mut variants, effort);
    println!(
        "Record: {tenants} tenants, {ROUTES} routes, one thread, {} rounds of {}",
        effort.rounds, effort.iterations
    );
    println!("{}\n", table(&variants, &costs, OURS));
    Ok(())
}

const OURS: &str = "ours, tenant resolved";

/// Tenants and routes in an order that no prefetcher guesses.
fn picks(count: u32, tenants: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 32) as usize % tenants, state as usize % ROUTES)
    })
}
