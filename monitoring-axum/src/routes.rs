//! The routes that operators and orchestrators ask: `/metrics`, `/livez`, `/readyz`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use monitoring_core::Monitoring;

use crate::readiness::{Audience, alive, ready};
use crate::scrape::{View, answer};

/// A token of the configuration is at most this long; nothing longer is compared.
const MAX_TOKEN: usize = 4_096;

const NO_TOKEN: &str = "/metrics is shut here because no token is set: set MONITORING_METRICS_TOKEN, or use the metrics' \
                        own listener (monitoring_axum::listen)\n";

/// `/metrics`, `/livez` and `/readyz` for the application's own router. Merge them **after** the layer, so that probes
/// and scrapes are not counted as requests.
///
/// | path | answers |
/// |---|---|
/// | `/livez` | 200 as long as the process serves, whatever it depends on |
/// | `/readyz` | 200, or 503 while [`Monitoring::is_ready`] says no: a critical dependency is down, the service is about to end, `set_ready(false)`; to the metrics token with the reasons as JSON (feature `health`) |
/// | `/metrics` | the metrics, to `Authorization: Bearer` with the [metrics token]; 401 to others, 403 if no token is set, 503 if [too many](crate::ScrapeLimits) ask at once |
///
/// The metrics come in the format that `Accept` asks for, and compressed as `Accept-Encoding` asks for. It takes a Tokio
/// runtime with its timer enabled to write them, such as `#[tokio::main]` makes.
///
/// Of two merged routers that both have no fallback of their own axum keeps the second one's answer to what matches no
/// route, without the layers of the first. So here that answer is measured, for `tenant="__none__"`. To have such
/// requests counted for their tenants, give the application a [`fallback`](Router::fallback), before the layer.
///
/// A scrape shows every tenant. To keep it off the public port use [`listen`](crate::listen()) instead of a token.
///
/// [metrics token]: monitoring_core::MonitoringBuilder::metrics_token
///
/// ```
/// use axum::{Router, routing::get};
/// use monitoring_core::Monitoring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").metrics_token("ahz6Eex7ooJ3quai").build()?;
/// let app: Router = Router::new()
///     .route("/invoices/{id}", get(|| async { "paid" }))
///     .layer(monitoring_axum::layer())
///     .merge(monitoring_axum::routes(&monitoring));
/// # let _ = app;
/// # Ok(()) }
/// ```
pub fn routes<S>(monitoring: &Monitoring) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let unmatched = match crate::layer().monitoring(monitoring) {
        Ok(layer) => Router::new().layer(layer),
        // The application's own layer reports that a metric's name is taken; here there is nothing to measure then.
        Err(_taken) => Router::new(),
    };
    let router = unmatched.route("/livez", get(alive)).route("/readyz", get(guarded_readiness));
    router.route("/metrics", get(guarded_metrics)).with_state(monitoring.clone())
}

/// The same for the metrics' own listener, where `/metrics` and the reasons of `/readyz` are open: who can reach that port
/// may read them.
pub(crate) fn open_routes(monitoring: &Monitoring) -> Router {
    let router = Router::new().route("/livez", get(alive)).route("/readyz", get(readiness));
    router.route("/metrics", get(metrics)).with_state(monitoring.clone())
}

async fn guarded_readiness(State(monitoring): State<Monitoring>, headers: HeaderMap) -> Response {
    // A gateway may add credentials of its own to a probe: what is not the token is no reason to refuse it.
    let is_token = bearer(&headers).is_some_and(|presented| monitoring.is_metrics_token(presented));
    ready(&monitoring, if is_token { Audience::Operators } else { Audience::Public })
}

async fn readiness(State(monitoring): State<Monitoring>) -> Response {
    ready(&monitoring, Audience::Operators)
}

async fn guarded_metrics(State(monitoring): State<Monitoring>, request: Request) -> Response {
    if !monitoring.has_metrics_token() {
        return (StatusCode::FORBIDDEN, NO_TOKEN).into_response();
    }
    if bearer(request.headers()).is_some_and(|presented| monitoring.is_metrics_token(presented)) {
        return scrape(&monitoring, request).await;
    }
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response()
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    (scheme.eq_ignore_ascii_case(b"Bearer ") && token.len() <= MAX_TOKEN).then_some(token)
}

async fn metrics(State(monitoring): State<Monitoring>, request: Request) -> Response {
    scrape(&monitoring, request).await
}

async fn scrape(monitoring: &Monitoring, request: Request) -> Response {
    answer(monitoring, View::Platform, request.into_parts().0).await
}
