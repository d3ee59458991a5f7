//! The routes that operators and orchestrators ask: `/metrics`, `/livez`, `/readyz`.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use monitoring_core::Monitoring;

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
/// | `/livez` | 200 as long as the process serves |
/// | `/readyz` | 200, or 503 after `Monitoring::set_ready(false)` and while the service shuts down |
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
    with_probes(unmatched).route("/metrics", get(guarded_metrics)).with_state(monitoring.clone())
}

/// The same for the metrics' own listener, where `/metrics` is open: who can reach that port may read it.
pub(crate) fn open_routes(monitoring: &Monitoring) -> Router {
    with_probes(Router::new()).route("/metrics", get(metrics)).with_state(monitoring.clone())
}

fn with_probes(router: Router<Monitoring>) -> Router<Monitoring> {
    router.route("/livez", get(StatusCode::OK)).route("/readyz", get(ready))
}

async fn ready(State(monitoring): State<Monitoring>) -> StatusCode {
    if monitoring.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
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
