//! The HTTP layer beside other layers, and beside what a team writes by hand on the same stores.
//!
//! The work: a POST of 64 bytes to one of 20 routes, by one of 1 000 tenants, through an in-process axum router on one
//! thread.
//!
//! - `application.rs` is the router, and the requests to it.
//! - `bounds.rs` is the least that a layer costs: one that does nothing, and one that does only what must be done.
//! - `handwritten.rs` is the middleware of a team that measures what our layer measures, on the stores of the peers.

mod application;
mod bounds;
mod handwritten;

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum_otel_metrics::HttpMetricsLayerBuilder;
use axum_prometheus::PrometheusMetricLayer;
use monitoring_axum::{FromExtension, layer};
use monitoring_benches::{Kind, Row, works};
use monitoring_core::{Monitoring, Tier};
use opentelemetry::{KeyValue, global};
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};

use self::application::{Claims, Requests, TENANTS, router};
use self::bounds::{DenseLayer, PassThroughLayer};
use self::handwritten::{Instruments, OnMeasured, OnMetrics, OnPrometheus, everything};
use crate::measure::{Effort, base, measure, over, row};
use crate::stores::metrics_exporter;

const BARE: &str = "bare router";
const PASS_THROUGH: &str = "pass-through layer";
const OURS: &str = "monitoring-axum";

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let effort =
        if quick { Effort { rounds: 11, iterations: 5_000 } } else { Effort { rounds: 31, iterations: 40_000 } };
    let requests = Requests::new()?;
    let exporter = metrics_exporter::installed()?;
    let open_telemetry = open_telemetry()?;
    let older_open_telemetry = older_open_telemetry();

    let variants = [
        requests.variant(BARE, Kind::Floor, router()),
        requests.variant(PASS_THROUGH, Kind::Floor, router().layer(PassThroughLayer)),
        requests.variant(
            "dense bound",
            Kind::Floor,
            router().layer(DenseLayer::new(&requests.tenants, &requests.routes)),
        ),
        requests.variant(OURS, Kind::Ours, ours(&requests)?),
        requests.variant(
            "axum-otel-metrics, no tenant",
            Kind::Floor,
            router().layer(HttpMetricsLayerBuilder::new().with_provider(older_open_telemetry.clone()).build()),
        ),
        requests
            .variant("axum-prometheus, no tenant, no sizes", Kind::Floor, router().layer(PrometheusMetricLayer::new()))
            .maintained(|| exporter.run_upkeep()),
        requests.variant("middleware on measured", Kind::Peer, by_hand(OnMeasured::new()?)),
        requests.variant("middleware on prometheus", Kind::Peer, by_hand(OnPrometheus::new()?)),
        requests
            .variant("middleware on metrics + metrics-exporter-prometheus", Kind::Peer, by_hand(OnMetrics))
            .maintained(|| exporter.run_upkeep()),
        requests.variant(
            "opentelemetry-instrumentation-tower, no tenant",
            Kind::Floor,
            router().layer(LayerBuilder::builder().with_tracing(false).build()?),
        ),
        requests.variant(
            "opentelemetry-instrumentation-tower",
            Kind::Peer,
            router().layer(
                LayerBuilder::builder()
                    .with_tracing(false)
                    .with_request_extractor_fn(|request: &Request<Body>| {
                        vec![KeyValue::new("tenant", Claims::tenant(request).to_owned())]
                    })
                    .build()?,
            ),
        ),
    ];
    let costs = measure(&variants, 1, effort);
    open_telemetry.force_flush()?;
    older_open_telemetry.force_flush()?;

    let time = over(&costs, BARE, |cost| cost.nanoseconds);
    let allocations = over(&costs, PASS_THROUGH, |cost| cost.allocations);
    println!(
        "bare router: {:.0} ns and {:.0} allocations",
        base(&costs, BARE, |cost| cost.nanoseconds),
        base(&costs, BARE, |cost| cost.allocations)
    );
    Ok(vec![
        row(&works::HTTP_TIME, OURS, &time, |cost| cost.nanoseconds),
        row(&works::HTTP_ALLOCATIONS, OURS, &allocations, |cost| cost.allocations),
    ])
}

fn ours(requests: &Requests) -> Result<Router, Box<dyn Error>> {
    let monitoring = Monitoring::builder("bench").build()?;
    for claims in &requests.tenants {
        monitoring.tenants().register(claims.tenant.parse()?, Tier::Standard)?;
    }
    let tenant = FromExtension::new(|claims: &Claims| Some(claims.tenant.as_ref()));
    Ok(router().layer(layer().tenant(tenant).monitoring(&monitoring)?))
}

fn by_hand<I: Instruments>(instruments: I) -> Router {
    router().layer(from_fn_with_state(Arc::new(instruments), everything::<I>))
}

/// The meters of the process, with room for every tenant on every route.
fn open_telemetry() -> Result<SdkMeterProvider, Box<dyn Error>> {
    let exporter = opentelemetry_prometheus::exporter().with_registry(prometheus::Registry::new()).build()?;
    let limit = TENANTS * application::ROUTES * 2;
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok())
        .build();
    global::set_meter_provider(provider.clone());
    Ok(provider)
}

/// The meters that axum-otel-metrics is made for.
fn older_open_telemetry() -> opentelemetry_sdk_0_32::metrics::SdkMeterProvider {
    use opentelemetry_sdk_0_32::metrics::{ManualReader, SdkMeterProvider};
    SdkMeterProvider::builder().with_reader(ManualReader::builder().build()).build()
}
