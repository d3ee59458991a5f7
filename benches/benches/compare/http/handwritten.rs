//! What a team writes by hand to measure what our layer measures, a cancelled request and a panic aside: counter and
//! duration per tenant, requests in flight, sizes of bodies.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use foldhash::fast::RandomState;
use lasso::{Rodeo, RodeoReader, Spur};
use measured::label::StaticLabelSet;
use measured::metric::histogram::Thresholds;
use measured::{CounterVec, FixedCardinalityLabel, GaugeVec, HistogramVec, LabelGroup};
use metrics::Label;
use monitoring_core::catalogue;
use paracord::ParaCord;
use prometheus::{HistogramOpts, IntCounterVec, IntGaugeVec, Opts};

use super::application::{Claims, ROUTES};

/// A request, and how it ended.
pub(crate) struct Ended<'a> {
    tenant: &'a str,
    route: &'a str,
    method: &'a Method,
    status: StatusCode,
    elapsed: Duration,
    request_size: u64,
    response_size: u64,
}

/// What the middleware records into.
pub(crate) trait Instruments: Send + Sync + 'static {
    fn start(&self, method: &Method);
    fn end(&self, ended: &Ended<'_>);
}

/// The middleware.
pub(crate) async fn everything<I: Instruments>(
    State(instruments): State<Arc<I>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let claims = request.extensions().get::<Claims>().cloned();
    let request_size = request.body().size_hint().exact().unwrap_or_default();
    instruments.start(&method);
    let response = next.run(request).await;
    instruments.end(&Ended {
        tenant: claims.as_ref().map_or("", |claims| &claims.tenant),
        route: path.as_str(),
        method: &method,
        status: response.status(),
        elapsed: start.elapsed(),
        request_size,
        response_size: response.body().size_hint().exact().unwrap_or_default(),
    });
    response
}

/// On the `metrics` facade, whose macros want owned values.
pub(crate) struct OnMetrics;

impl Instruments for OnMetrics {
    fn start(&self, method: &Method) {
        metrics::gauge!("http_active_requests", "method" => method.to_string()).increment(1.0);
    }

    fn end(&self, ended: &Ended<'_>) {
        let labels = vec![
            Label::new("tenant", ended.tenant.to_owned()),
            Label::new("route", ended.route.to_owned()),
            Label::new("method", ended.method.to_string()),
            Label::new("status", ended.status.as_str().to_owned()),
        ];
        metrics::counter!("http_requests_total", labels.clone()).increment(1);
        metrics::histogram!("http_request_duration_seconds", labels).record(ended.elapsed);
        let route = || ended.route.to_owned();
        metrics::histogram!("http_request_size_bytes", "route" => route()).record(ended.request_size as f64);
        metrics::histogram!("http_response_size_bytes", "route" => route()).record(ended.response_size as f64);
        metrics::gauge!("http_active_requests", "method" => ended.method.to_string()).decrement(1.0);
    }
}

/// On `prometheus`.
pub(crate) struct OnPrometheus {
    active: IntGaugeVec,
    requests: IntCounterVec,
    durations: prometheus::HistogramVec,
    request_sizes: prometheus::HistogramVec,
    response_sizes: prometheus::HistogramVec,
}

impl OnPrometheus {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let labels = ["tenant", "route", "method", "status"];
        let histogram = |name, bounds: &[f64], labels: &[&str]| {
            prometheus::HistogramVec::new(HistogramOpts::new(name, name).buckets(bounds.to_vec()), labels)
        };
        let sizes = catalogue::HTTP_SERVER_REQUEST_BODY_SIZE.buckets();
        Ok(Self {
            active: IntGaugeVec::new(Opts::new("http_active_requests", "Requests."), &["method"])?,
            requests: IntCounterVec::new(Opts::new("http_requests_total", "Requests."), &labels)?,
            durations: histogram(
                "http_request_duration_seconds",
                catalogue::HTTP_SERVER_REQUEST_DURATION.buckets(),
                &labels,
            )?,
            request_sizes: histogram("http_request_size_bytes", sizes, &["route"])?,
            response_sizes: histogram("http_response_size_bytes", sizes, &["route"])?,
        })
    }
}

impl Instruments for OnPrometheus {
    fn start(&self, method: &Method) {
        self.active.with_label_values(&[method.as_str()]).inc();
    }

    fn end(&self, ended: &Ended<'_>) {
        let labels = [ended.tenant, ended.route, ended.method.as_str(), ended.status.as_str()];
        self.requests.with_label_values(&labels).inc();
        self.durations.with_label_values(&labels).observe(ended.elapsed.as_secs_f64());
        self.request_sizes.with_label_values(&[ended.route]).observe(ended.request_size as f64);
        self.response_sizes.with_label_values(&[ended.route]).observe(ended.response_size as f64);
        self.active.with_label_values(&[ended.method.as_str()]).dec();
    }
}

/// On `measured`: method and kind of status as enums, routes known from the start, tenants as they come.
pub(crate) struct OnMeasured {
    active: GaugeVec<StaticLabelSet<Verb>>,
    requests: CounterVec<Arc<RequestSet>>,
    durations: HistogramVec<Arc<RequestSet>, DURATION_BUCKETS>,
    request_sizes: HistogramVec<RouteSet, SIZE_BUCKETS>,
    response_sizes: HistogramVec<RouteSet, SIZE_BUCKETS>,
}

const DURATION_BUCKETS: usize = catalogue::HTTP_SERVER_REQUEST_DURATION.buckets().len();
const SIZE_BUCKETS: usize = catalogue::HTTP_SERVER_REQUEST_BODY_SIZE.buckets().len();

#[derive(Clone, Copy, FixedCardinalityLabel)]
#[label(singleton = "method", rename_all = "SHOUTY_SNAKE_CASE")]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Other,
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy, FixedCardinalityLabel)]
enum Outcome {
    Ok,
    ClientError,
    ServerError,
}

#[derive(LabelGroup)]
#[label(set = RequestSet)]
struct RequestLabels<'a> {
    #[label(dynamic_with = ParaCord<RandomState>)]
    tenant: &'a str,
    #[label(fixed_with = RodeoReader<Spur, RandomState>)]
    route: &'a str,
    method: Verb,
    outcome: Outcome,
}

#[derive(LabelGroup)]
#[label(set = RouteSet)]
struct RouteLabels<'a> {
    #[label(fixed_with = RodeoReader<Spur, RandomState>)]
    route: &'a str,
}

impl OnMeasured {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let routes = || {
            let mut routes = Rodeo::with_hasher(RandomState::default());
            for route in 0..ROUTES {
                routes.get_or_intern(super::application::template(route));
            }
            routes.into_reader()
        };
        let labels = Arc::new(RequestSet::new(ParaCord::with_hasher(RandomState::default()), routes()));
        let durations: [f64; DURATION_BUCKETS] = catalogue::HTTP_SERVER_REQUEST_DURATION.buckets().try_into()?;
        let sizes: [f64; SIZE_BUCKETS] = catalogue::HTTP_SERVER_REQUEST_BODY_SIZE.buckets().try_into()?;
        let of_sizes =
            || HistogramVec::with_label_set_and_metadata(RouteSet::new(routes()), Thresholds::with_buckets(sizes));
        Ok(Self {
            active: GaugeVec::new(),
            requests: CounterVec::with_label_set(Arc::clone(&labels)),
            durations: HistogramVec::with_label_set_and_metadata(labels, Thresholds::with_buckets(durations)),
            request_sizes: of_sizes(),
            response_sizes: of_sizes(),
        })
    }
}

impl Instruments for OnMeasured {
    fn start(&self, method: &Method) {
        self.active.inc(Verb::of(method));
    }

    fn end(&self, ended: &Ended<'_>) {
        let method = Verb::of(ended.method);
        let outcome = match ended.status {
            status if status.is_server_error() => Outcome::ServerError,
            status if status.is_client_error() => Outcome::ClientError,
            _ => Outcome::Ok,
        };
        // Both families have the same set of labels.
        let labels = RequestLabels { tenant: ended.tenant, route: ended.route, method, outcome };
        let labels = self.requests.with_labels(labels);
        self.requests.get_metric(labels).inc();
        self.durations.get_metric(labels).observe_duration(ended.elapsed);
        self.request_sizes.observe(RouteLabels { route: ended.route }, ended.request_size as f64);
        self.response_sizes.observe(RouteLabels { route: ended.route }, ended.response_size as f64);
        self.active.dec(method);
    }
}
