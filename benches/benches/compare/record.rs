//! One counter and one histogram sample, as for a request: for tenants and routes in random order.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use monitoring_benches::{Kind, Row, Work, works};

use crate::measure::{Cost, Effort, Shuffle, Variant, measure, row};
use crate::stores::floors::{self, Dense};
use crate::stores::measured::{self, Measured};
use crate::stores::metrics_exporter::{self, Installed};
use crate::stores::opentelemetry::{self, OpenTelemetry};
use crate::stores::ours::{self, Ours};
use crate::stores::prometheus::{self, Prometheus};
use crate::stores::prometheus_client::{self, PrometheusClient};
use crate::stores::{ROUTES, Series, Store, Texts};

/// The works with the tenant's handle, those with its text, on one thread and on two.
struct Works {
    tenants: usize,
    handle: [Work; 2],
    text: [Work; 2],
}

const WORKS: [Works; 2] = [
    Works {
        tenants: 1_000,
        handle: [works::HANDLE_1000, works::HANDLE_1000_SHARED],
        text: [works::TEXT_1000, works::TEXT_1000_SHARED],
    },
    Works {
        tenants: 10_000,
        handle: [works::HANDLE_10000, works::HANDLE_10000_SHARED],
        text: [works::TEXT_10000, works::TEXT_10000_SHARED],
    },
];

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let effort =
        if quick { Effort { rounds: 7, iterations: 50_000 } } else { Effort { rounds: 9, iterations: 300_000 } };
    let mut handle = Vec::new();
    let mut text = Vec::new();
    // What the first measurement has found, on one thread.
    let mut alone = Vec::new();
    for Works { tenants, handle: handle_works, text: text_works } in WORKS {
        let texts = Texts::new(tenants);
        let series = tenants * ROUTES;
        let ours = Ours::new(&texts, series)?;
        let stores = Stores {
            exporter: Installed::new(&texts)?,
            opentelemetry: OpenTelemetry::new(&texts, series)?,
            prometheus: Prometheus::new(&texts)?,
            prometheus_client: PrometheusClient::new(&texts),
            measured: Measured::new(&texts),
            dense: Dense::new(&texts, series),
        };
        let variants = variants(tenants, &ours, &stores);
        for ((handle_work, text_work), threads) in handle_works.into_iter().zip(text_works).zip([1, 2]) {
            let costs = measure(&variants, threads, effort);
            let nanoseconds = |cost: &Cost| cost.nanoseconds;
            handle.push(row(&handle_work, ours::HANDLE, &without(&costs, floors::LOOKED_UP), nanoseconds));
            text.push(row(&text_work, ours::TEXT, &without(&costs, floors::IN_HAND), nanoseconds));
            if alone.is_empty() {
                alone = costs;
            }
        }
    }
    let allocations = |cost: &Cost| cost.allocations;
    handle.push(row(&works::HANDLE_ALLOCATIONS, ours::HANDLE, &without(&alone, floors::LOOKED_UP), allocations));
    text.push(row(&works::TEXT_ALLOCATIONS, ours::TEXT, &without(&alone, floors::IN_HAND), allocations));
    Ok(handle.into_iter().chain(text).collect())
}

/// All stores but ours.
struct Stores<'a> {
    exporter: Installed<'a>,
    opentelemetry: OpenTelemetry<'a>,
    prometheus: Prometheus<'a>,
    prometheus_client: PrometheusClient<'a>,
    measured: Measured<'a>,
    dense: Dense<'a>,
}

/// The ways to record, for stores that have all series already.
fn variants<'a>(tenants: usize, ours: &'a Ours<'_>, stores: &'a Stores<'_>) -> Vec<Variant<'a>> {
    let Stores { exporter, opentelemetry, prometheus, prometheus_client, measured, dense } = stores;
    let fills: [&dyn Store; 7] = [ours, exporter, opentelemetry, prometheus, prometheus_client, measured, dense];
    for store in fills {
        for tenant in 0..tenants {
            for route in 0..ROUTES {
                store.record(Series::of(tenant, route), DURATION);
            }
        }
        store.maintain();
    }
    vec![
        Variant::new(
            "the loop alone",
            Kind::Floor,
            requests(tenants, |series, duration| {
                black_box((series.tenant, series.route, duration));
            }),
        ),
        store(floors::IN_HAND, Kind::Floor, tenants, dense),
        Variant::new(
            floors::LOOKED_UP,
            Kind::Floor,
            requests(tenants, |series, duration| dense.record_by_text(series, duration)),
        ),
        store(ours::HANDLE, Kind::Ours, tenants, ours),
        Variant::new(
            ours::TEXT,
            Kind::Ours,
            requests(tenants, |series, duration| ours.record_by_text(series, duration)),
        ),
        store(metrics_exporter::NAME, Kind::Peer, tenants, exporter),
        store(opentelemetry::NAME, Kind::Peer, tenants, opentelemetry),
        store(prometheus::NAME, Kind::Peer, tenants, prometheus),
        store(prometheus_client::NAME, Kind::Peer, tenants, prometheus_client),
        store(measured::NAME, Kind::Peer, tenants, measured),
    ]
}

const DURATION: Duration = Duration::from_millis(30);

fn store<'a>(name: &'static str, kind: Kind, tenants: usize, store: &'a impl Store) -> Variant<'a> {
    Variant::new(name, kind, requests(tenants, |series, duration| store.record(series, duration)))
        .maintained(|| store.maintain())
}

/// Does `record` for tenants and routes in random order.
fn requests(tenants: usize, record: impl Fn(Series, Duration) + Sync) -> impl Fn(u64, u32) + Sync {
    move |seed, iterations| {
        let mut shuffle = Shuffle::new(seed);
        for _ in 0..iterations {
            let (tenant, route) = (shuffle.below(tenants), shuffle.below(ROUTES));
            record(Series { tenant, route, method: 0, status: 0 }, black_box(DURATION));
        }
    }
}

fn without(costs: &[Cost], name: &str) -> Vec<Cost> {
    costs.iter().filter(|cost| cost.name != name).copied().collect()
}
