//! What rate limiters decide, for each tenant.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use monitoring_core::{
    InstrumentSet, Instruments, LabelSet, LabelValue, Monitoring, Registry, RegistryError, Symbol, Tenant,
    TenantCounter, catalogue,
};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Counts what a rate limiter decides, in `saas_ratelimit_decisions_total` (labels `tenant`, `limiter`, `decision`).
///
/// As a layer around any limiter that answers 429, it counts what comes back: 429 as `rejected`, all else as `allowed`.
/// Put it directly around the limiter and inside of [`layer`](crate::layer()): then 429s of others further inside are the
/// only ones that it could mistake for the limiter's.
///
/// ```
/// use axum::{Router, routing::get};
/// use monitoring_axum::RateLimitDecisions;
/// # use axum::{http::StatusCode, middleware::from_fn, response::IntoResponse};
/// # use tower::ServiceExt;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = monitoring_core::Monitoring::builder("billing").build()?;
/// # let limiter = from_fn(|_: axum::extract::Request, _: axum::middleware::Next| async { StatusCode::TOO_MANY_REQUESTS });
/// let app: Router = Router::new()
///     .route("/invoices", get(|| async { "[]" }))
///     .layer(limiter) // of any crate
///     .layer(RateLimitDecisions::of("api").monitoring(&monitoring)?)
///     .layer(monitoring_axum::layer().monitoring(&monitoring)?);
///
/// # app.oneshot(axum::extract::Request::get("/invoices").body(axum::body::Body::empty())?).await?;
/// assert!(monitoring.render().contains(
///     r#"saas_ratelimit_decisions_total{tenant="__none__",limiter="api",decision="rejected"} 1"#
/// ));
/// # Ok(()) }
/// ```
///
/// A limiter of the application's own tells its decisions by [`record`](Self::record). A request that gets no response,
/// because it is given up or its service fails, is no decision.
///
/// Costs a look-up of the limiter's name, an atomic addition, and a counted reference for each request; before
/// `Monitoring::install()` the reference alone.
#[derive(Clone, Debug)]
pub struct RateLimitDecisions {
    limiter: &'static str,
    instruments: Instruments<Decisions>,
}

/// What a rate limiter has decided on a request; label `decision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub enum RateLimitDecision {
    /// It passes.
    Allowed,
    /// It is refused.
    Rejected,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct DecisionLabels {
    limiter: Symbol,
    decision: RateLimitDecision,
}

#[derive(Debug)]
struct Decisions {
    decisions: TenantCounter<DecisionLabels>,
    registry: Registry,
}

impl InstrumentSet for Decisions {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let decisions = registry.tenant_counter(&catalogue::SAAS_RATELIMIT_DECISIONS)?;
        Ok(Self { decisions, registry: registry.clone() })
    }
}

impl RateLimitDecisions {
    /// The decisions of the limiter with that name, recorded in the global monitoring.
    pub fn of(limiter: &'static str) -> Self {
        Self { limiter, instruments: Instruments::global() }
    }

    /// Records into `monitoring` and not into the one that was installed globally.
    ///
    /// # Errors
    /// When the metric's name is taken by a different metric of the application.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        self.instruments = Instruments::of(monitoring)?;
        Ok(self)
    }

    /// Counts a decision for the [current tenant](Tenant::current).
    pub fn record(&self, decision: RateLimitDecision) {
        if let Some(Decisions { decisions, registry }) = self.instruments.get() {
            let limiter = registry.symbol(self.limiter);
            decisions.add(Tenant::current(), DecisionLabels { limiter, decision }, 1);
        }
    }
}

impl<S> Layer<S> for RateLimitDecisions {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService { inner, decisions: self.clone() }
    }
}

/// A service with a rate limiter, whose answers [`RateLimitDecisions`] counts.
#[derive(Clone, Debug)]
pub struct RateLimitService<S> {
    inner: S,
    decisions: RateLimitDecisions,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for RateLimitService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        RateLimitFuture { inner: self.inner.call(request), decisions: self.decisions.clone() }
    }
}

/// The response to come of a [`RateLimitService`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RateLimitFuture<F> {
    #[pin]
    inner: F,
    decisions: RateLimitDecisions,
}

impl<F, B, E> Future for RateLimitFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(task));
        if let Ok(response) = &result {
            this.decisions.record(match response.status() {
                StatusCode::TOO_MANY_REQUESTS => RateLimitDecision::Rejected,
                _ => RateLimitDecision::Allowed,
            });
        }
        Poll::Ready(result)
    }
}
