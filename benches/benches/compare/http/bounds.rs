//! The least that a layer costs.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use foldhash::fast::RandomState;
use monitoring_core::catalogue;
use pin_project::pin_project;
use tower::{Layer, Service};

use super::application::Claims;

/// A layer that does nothing.
#[derive(Clone)]
pub(crate) struct PassThroughLayer;

#[derive(Clone)]
pub(crate) struct PassThrough<S>(S);

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

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

/// A layer that looks up tenant and route in fixed tables, and adds to cells that are all there: no limit, no tenant that
/// is new, no cancelled request, nothing that could read the cells.
#[derive(Clone)]
pub(crate) struct DenseLayer(Arc<Tables>);

struct Tables {
    tenants: HashMap<String, usize, RandomState>,
    routes: HashMap<String, usize, RandomState>,
    durations: Vec<Cells>,
    request_sizes: Vec<Cells>,
    response_sizes: Vec<Cells>,
    active: AtomicU64,
}

/// A histogram.
struct Cells {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Cells {
    fn many(count: usize, bounds: &'static [f64]) -> Vec<Self> {
        let buckets = || (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        (0..count).map(|_| Self { bounds, buckets: buckets(), sum: AtomicU64::new(0) }).collect()
    }

    fn record(&self, value: f64, raw: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(raw, Ordering::Relaxed);
    }
}

impl DenseLayer {
    pub(crate) fn new(tenants: &[Claims], routes: &[String]) -> Self {
        let sizes = catalogue::HTTP_SERVER_REQUEST_BODY_SIZE.buckets();
        Self(Arc::new(Tables {
            durations: Cells::many(tenants.len() * routes.len(), catalogue::HTTP_SERVER_REQUEST_DURATION.buckets()),
            request_sizes: Cells::many(routes.len(), sizes),
            response_sizes: Cells::many(routes.len(), sizes),
            tenants: tenants.iter().enumerate().map(|(id, claims)| (claims.tenant.to_string(), id)).collect(),
            routes: routes.iter().enumerate().map(|(id, route)| (route.clone(), id)).collect(),
            active: AtomicU64::new(0),
        }))
    }
}

impl<S> Layer<S> for DenseLayer {
    type Service = Dense<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Dense { inner, tables: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(crate) struct Dense<S> {
    inner: S,
    tables: Arc<Tables>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Dense<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Measured<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let start = Instant::now();
        let tables = Arc::clone(&self.tables);
        let tenant = tables.tenants.get(Claims::tenant(&request)).copied().unwrap_or_default();
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let route = tables.routes.get(path).copied().unwrap_or_default();
        let size = request.body().size_hint().exact().unwrap_or_default();
        tables.active.fetch_add(1, Ordering::Relaxed);
        Measured { inner: self.inner.call(request), tables, start, tenant, route, size }
    }
}

#[pin_project]
pub(crate) struct Measured<F> {
    #[pin]
    inner: F,
    tables: Arc<Tables>,
    start: Instant,
    tenant: usize,
    route: usize,
    size: u64,
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Measured<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(task));
        let tables = this.tables;
        let elapsed = this.start.elapsed();
        let sent = result.as_ref().ok().and_then(|response| response.body().size_hint().exact()).unwrap_or_default();
        let duration = tables.durations.get(*this.tenant * tables.routes.len() + *this.route);
        let values = [
            (duration, elapsed.as_secs_f64(), elapsed.as_nanos() as u64),
            (tables.request_sizes.get(*this.route), *this.size as f64, *this.size),
            (tables.response_sizes.get(*this.route), sent as f64, sent),
        ];
        for (cells, value, raw) in values {
            if let Some(cells) = cells {
                cells.record(value, raw);
            }
        }
        tables.active.fetch_sub(1, Ordering::Relaxed);
        Poll::Ready(result)
    }
}
