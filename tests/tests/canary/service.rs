//! The service that is measured.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use monitoring_axum::{
    ApiKey, Browser, PathParameter, RateLimitDecisions, Subdomain, TenantResolver, VerifiedClaim, tenant_metrics,
};
use monitoring_core::health::{Drain, Health};
use monitoring_core::propagation::TraceContext;
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::servers::{PostgreSql, Redis};
use tower_http::catch_panic::CatchPanicLayer;

use crate::peer::Peer;
use crate::probes;
use crate::seen::{CANARY, Seen, canary};
use crate::work::Work;

/// The header that stands for authentication.
pub(crate) const TENANT_HEADER: &str = "x-verified-tenant";

/// A service with all that it works with.
pub(crate) struct Service {
    pub(crate) monitoring: Monitoring,
    pub(crate) peer: Peer,
    address: SocketAddr,
    health: Health,
    _servers: (PostgreSql, Redis),
}

impl Service {
    pub(crate) async fn start(seen: &Seen) -> Self {
        let builder = Monitoring::builder("shop").metrics_token(canary("token")).admit_verified(true);
        seen.debug("MonitoringBuilder", &builder);
        let monitoring = builder.install().unwrap();
        hostile_tenants(&monitoring, seen);
        monitoring.tenants().register("acme".parse().unwrap(), Tier::Enterprise).unwrap();

        let (database, cache) = tokio::join!(
            tokio::task::spawn_blocking(|| PostgreSql::start().unwrap()),
            tokio::task::spawn_blocking(|| Redis::start().unwrap()),
        );
        let (database, cache) = (database.unwrap(), cache.unwrap());
        let peer = Peer::start().await;
        let work = Work::new(&database, &cache, peer.address, seen).await;
        let health = probes::start(&monitoring, &database, &cache, peer.address, seen);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app(&monitoring, Arc::new(work), seen);
        seen.debug("Drain", Drain::of(&monitoring));
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { monitoring, peer, address, health, _servers: (database, cache) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn token(&self) -> String {
        canary("token")
    }

    /// All that will be known of its health is known.
    pub(crate) async fn health_is_known(&self, seen: &Seen) {
        probes::are_done(&self.health).await;
        seen.debug("Health", &self.health);
    }
}

/// No id of those is registered, and who tries is told what was wrong without it.
fn hostile_tenants(monitoring: &Monitoring, seen: &Seen) {
    for id in [format!("{CANARY}/../x"), format!("__{CANARY}"), CANARY.repeat(10), format!("{CANARY}\u{202e}\n\"}}")] {
        let error = id.parse::<monitoring_core::TenantId>().unwrap_err();
        seen.error("TenantIdError", error);
        seen.debug("Tenant", (monitoring.tenants().lookup(&id), monitoring.tenants().admit(&id)));
    }
    seen.debug("Tenant", monitoring.tenants().lookup(CANARY));
}

fn app(monitoring: &Monitoring, work: Arc<Work>, seen: &Seen) -> Router {
    let browser = Browser::new(monitoring).unwrap().pages(["/pages/{id}"]).unwrap().traceparent();
    let decisions = RateLimitDecisions::of("api");
    let limiter = from_fn(|_: Request, _: axum::middleware::Next| async {
        (StatusCode::TOO_MANY_REQUESTS, canary("refusal")).into_response()
    });
    let of_key = ApiKey::new(axum::http::HeaderName::from_static("x-key"), |_: &str| None::<String>);
    let resolver = Subdomain::of("shop.example").or(of_key).or(PathParameter::new("tenant"));
    let verified = VerifiedClaim::new(|request: &monitoring_axum::RequestHead<'_>| {
        let id = request.headers().get(TENANT_HEADER)?.to_str().ok()?;
        Some(id.to_owned())
    });
    let layer = monitoring_axum::layer().tenant(resolver).slow_requests(Duration::ZERO).server_timing();
    let layer = layer.apdex(Duration::from_secs(1)).follow_all_bodies();
    for (what, value) in [
        ("Browser", format!("{browser:?}")),
        ("RateLimitDecisions", format!("{decisions:?}")),
        ("VerifiedClaim", format!("{verified:?}")),
        ("MonitoringLayer", format!("{layer:?}")),
    ] {
        seen.bytes(what, value);
    }
    let refused = Router::new().route("/refused/{tenant}", any(async || ())).layer(limiter).layer(decisions);
    let closing = monitoring_axum::close_while_draining(monitoring);
    seen.debug("CloseWhileDrainingLayer", &closing);
    Router::new()
        .route("/work/{id}", post(move |headers: HeaderMap, body: Body| answer(work, headers, body)))
        .route("/small", get(async || "small"))
        .route("/panics/{id}", get(panics))
        .route("/breaks", get(breaks))
        .route("/vitals.js", browser.into_route())
        .route("/tenant/metrics", tenant_metrics(monitoring, verified))
        .merge(refused)
        .layer(layer)
        .merge(monitoring_axum::routes(monitoring))
        .layer(closing)
        .layer(CatchPanicLayer::new())
}

/// Works within the trace of the request, and answers with the canary.
async fn answer(work: Arc<Work>, headers: HeaderMap, body: Body) -> Response {
    let trace = TraceContext::from_headers(&headers).unwrap().unwrap();
    let body = to_bytes(body, 10_000).await.unwrap();
    let control = trace.scope(work.done(&trace)).await;
    let text = format!("{} {} {control}", canary("response-body"), String::from_utf8_lossy(&body));
    ([("x-answer", canary("response-header")), ("set-cookie", canary("set-cookie"))], text).into_response()
}

async fn panics() {
    panic!("{}", canary("panic"));
}

async fn breaks() -> Body {
    let pieces = [Ok("some"), Err(io::Error::other(canary("body-error")))];
    Body::from_stream(futures_util::stream::iter(pieces))
}
