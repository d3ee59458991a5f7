//! One series that every thread adds to: what a handle that is kept costs when two processors want the same cache line.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics_exporter_prometheus::PrometheusBuilder;
use monitoring_benches::{Kind, Row, works};
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Counter, LabelSet, LabelValue, Monitoring};

use crate::measure::{Cost, Effort, Variant, measure, row};
use crate::stores::{measured, metrics_exporter, prometheus, prometheus_client};

const OURS: &str = "ours";
const REQUESTS: Descriptor =
    Descriptor::counter("bench.hot", Unit::Count("{request}"), "Requests.").labels(&["method"]);

#[derive(Clone, Copy, LabelValue)]
enum Method {
    #[label("GET")]
    Get,
}

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    method: Method,
}

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let effort =
        if quick { Effort { rounds: 7, iterations: 2_000_000 } } else { Effort { rounds: 21, iterations: 5_000_000 } };
    let monitoring = Monitoring::builder("bench").build()?;
    let ours: Counter<Labels> = monitoring.registry().counter(&REQUESTS)?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let exporter = ::metrics::with_local_recorder(&recorder, || ::metrics::counter!("bench_hot", "method" => "GET"));
    let prometheus_counter = ::prometheus::IntCounter::new("bench_hot", "Requests.")?;
    let client = ::prometheus_client::metrics::counter::Counter::<u64>::default();
    let measured_counter = ::measured::Counter::new();
    let atomic = AtomicU64::new(0);

    let variants = [
        Variant::new(OURS, Kind::Ours, repeated(|| ours.add(Labels { method: black_box(Method::Get) }, 1))),
        Variant::new(metrics_exporter::NAME, Kind::Peer, repeated(|| exporter.increment(1))),
        Variant::new(prometheus::NAME, Kind::Peer, repeated(|| prometheus_counter.inc())),
        Variant::new(
            prometheus_client::NAME,
            Kind::Peer,
            repeated(|| {
                client.inc();
            }),
        ),
        Variant::new(measured::NAME, Kind::Peer, repeated(|| measured_counter.inc())),
        Variant::new(
            "an atomic",
            Kind::Floor,
            repeated(|| {
                atomic.fetch_add(1, Ordering::Relaxed);
            }),
        ),
    ];
    let alone = measure(&variants, 1, effort);
    let shared = measure(&variants, 2, effort);
    let ratios: Vec<Cost> = alone
        .iter()
        .zip(&shared)
        .map(|(alone, shared)| Cost { nanoseconds: shared.nanoseconds / alone.nanoseconds, ..*alone })
        .collect();
    Ok([(works::HOT_ALONE, alone), (works::HOT_SHARED, shared), (works::HOT_RATIO, ratios)]
        .iter()
        .map(|(work, costs)| row(work, OURS, costs, |cost| cost.nanoseconds))
        .collect())
}

fn repeated(work: impl Fn() + Sync) -> impl Fn(u64, u32) + Sync {
    move |_, iterations| {
        for _ in 0..iterations {
            work();
        }
    }
}
