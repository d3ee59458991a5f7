//! The HTTP layer beside what a team would write by hand with `metrics` and `metrics-exporter-prometheus`.
//!
//! The work: a POST of 64 bytes to one of 20 routes, by one of 1 000 tenants, through an in-process axum router on one
//! thread. `cargo bench -p monitoring-benches`; with `-- --quick` in a few seconds.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::BodyExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use monitoring_axum::{FromExtension, layer};
use monitoring_benches::{Allocator, Effort, INSTRUMENTED_SYSTEM, Variant, measure, table};
use monitoring_core::{Monitoring, Tier};
use tokio::runtime::Runtime;
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATOR: &Allocator = &INSTRUMENTED_SYSTEM;

const ROUTES: usize = 20;
const TENANTS: usize = 1_000;

/// What the application's authentication has found out, before any monitoring.
#[derive(Clone)]
struct Claims {
    tenant: Arc<str>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let effort =
        if quick { Effort { rounds: 3, iterations: 20_000 } } else { Effort { rounds: 11, iterations: 200_000 } };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let requests = Requests::new();

    let monitoring = Monitoring::builder("bench").build()?;
    for tenant in &requests.tenants {
        monitoring.tenants().register(tenant.tenant.parse()?, Tier::Standard)?;
    }
    let ours =
        layer().tenant(FromExtension::new(|claims: &Claims| Some(claims.tenant.as_ref()))).monitoring(&monitoring)?;
    let exporter = exporter()?;

    let bare = router();
    let pass_through = router().layer(PassThroughLayer);
    let measured = router().layer(ours);
    let two_metrics = router().layer(from_fn(two_metrics));
    let everything = router().layer(from_fn(everything));

    let mut variants = [
        requests.variant("bare router", "nothing", &runtime, bare),
        requests.variant("pass-through layer", "nothing: the least a layer costs", &runtime, pass_through),
        requests.variant(OURS, "duration, active, sizes; per tenant; cancellation, panics", &runtime, measured),
        requests.variant("metrics + exporter, two metrics", "counter and duration per tenant", &runtime, two_metrics),
        requests.variant("metrics + exporter, everything", "duration, active, sizes; per tenant", &runtime, everything),
    ];
    // The exporter keeps samples until it is asked: in service its upkeep runs every few seconds.
    let costs = measure(&mut variants, effort);
    exporter.run_upkeep();

    println!(
        "HTTP layer: {ROUTES} routes, {TENANTS} tenants, one thread, {} rounds of {}",
        effort.rounds, effort.iterations
    );
    println!("{}", table(&variants, &costs, OURS));
    Ok(())
}

const OURS: &str = "monitoring-axum";

/// The application: routes that answer at once.
fn router() -> Router {
    (0..ROUTES)
        .fold(Router::new(), |router, route| {
            router.route(&format!("/v1/resource{route}/{{id}}"), post(|body: Bytes| async move { body }))
        })
        .with_state(())
}

/// The requests that every variant answers, in the same order.
struct Requests {
    paths: Vec<String>,
    tenants: Vec<Claims>,
}

impl Requests {
    fn new() -> Self {
        Self {
            paths: (0..ROUTES).map(|route| format!("/v1/resource{route}/42")).collect(),
            tenants: (0..TENANTS).map(|tenant| Claims { tenant: format!("tenant-{tenant:04}").into() }).collect(),
        }
    }

    fn variant<'a>(
        &'a self,
        name: &'static str,
        gives: &'static str,
        runtime: &'a Runtime,
        router: Router,
    ) -> Variant<'a> {
        let mut service = router.into_service();
        Variant::new(name, gives, move |iterations| {
            runtime.block_on(async {
                let tenants = self.tenants.iter().cycle();
                let paths = self.paths.iter().cycle();
                for (tenant, path) in tenants.zip(paths).take(iterations as usize) {
                    let mut request = Request::post(path.as_str())
                        .body(Body::from(Bytes::from_static(&[b'x'; 64])))
                        .unwrap_or_default();
                    request.extensions_mut().insert(tenant.clone());
                    let Ok(response) = service.call(request).await;
                    let mut body = response.into_body();
                    while let Some(Ok(frame)) = body.frame().await {
                        std::hint::black_box(frame);
                    }
                }
            });
        })
    }
}

/// A layer that does nothing.
#[derive(Clone)]
struct PassThroughLayer;

#[derive(Clone)]
struct PassThrough<S>(S);

impl<S> Layer<S> for PassThroughLayer {
    type Service = PassThrough<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PassThrough(inner)
    }
}

impl<S: Service<Request>> Service<Request> for PassThrough<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

/// The recorder that the hand-written middleware records into, with the same buckets as ours.
fn exporter() -> Result<PrometheusHandle, Box<dyn std::error::Error>> {
    let duration = monitoring_core::catalogue::HTTP_SERVER_REQUEST_DURATION.buckets();
    let size = monitoring_core::catalogue::HTTP_SERVER_RESPONSE_BODY_SIZE.buckets();
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".into()), duration)?
        .set_buckets_for_metric(Matcher::Suffix("bytes".into()), size)?
        .install_recorder()?;
    Ok(handle)
}

/// The middleware that a team writes on a Friday: a counter and a histogram.
async fn two_metrics(path: MatchedPath, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let labels = |status: String, request: &Request| {
        [
            ("tenant", tenant(request)),
            ("route", path.as_str().to_owned()),
            ("method", request.method().to_string()),
            ("status", status),
        ]
    };
    let mut labels = labels(String::new(), &request);
    let response = next.run(request).await;
    if let Some((_, status)) = labels.last_mut() {
        *status = response.status().as_u16().to_string();
    }
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(start.elapsed());
    response
}

/// The same with what our layer also gives: requests in flight and body sizes.
async fn everything(path: MatchedPath, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let route = path.as_str().to_owned();
    let size = request.body().size_hint().exact().unwrap_or_default();
    metrics::gauge!("http_active_requests", "method" => method.clone()).increment(1.0);
    let response = two_metrics(path, request, next).await;
    metrics::histogram!("http_request_size_bytes", "route" => route.clone()).record(size as f64);
    let size = response.body().size_hint().exact().unwrap_or_default();
    metrics::histogram!("http_response_size_bytes", "route" => route).record(size as f64);
    metrics::gauge!("http_active_requests", "method" => method).decrement(1.0);
    response
}

fn tenant(request: &Request) -> String {
    request.extensions().get::<Claims>().map_or_else(String::new, |claims| claims.tenant.to_string())
}
