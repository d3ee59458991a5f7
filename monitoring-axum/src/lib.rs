//! HTTP server metrics per tenant, for [axum] and any [tower] HTTP service.
//!
//! One layer measures every request: how long it took to the end of its response, how it went, for which tenant. It
//! costs about half a microsecond a request (`cargo bench -p monitoring-benches` shows it beside a hand-written
//! middleware); before `Monitoring::install()` it costs one atomic load.
//!
//! The layer allocates nothing for a request and a response that are in memory; `Router::layer` allocates twice for any
//! layer (the service and its future). A body that has to be followed is boxed: that of a response that is streamed or
//! long, and that of a request that declares no length, or more than a mebibyte. A service whose response bodies are not
//! axum's has them boxed as such, as axum does it for handlers.
//!
//! ```
//! use axum::{Router, routing::get};
//! use monitoring_axum::{FromExtension, Subdomain, TenantResolver};
//! use monitoring_core::{Monitoring, Tier};
//! # use tower::ServiceExt;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = Monitoring::from_env("billing")?.install()?;
//! let app: Router = Router::new()
//!     .route("/invoices/{id}", get(|| async { "paid" }))
//!     .layer(monitoring_axum::layer().tenant(Subdomain::of("billing.example")))
//!     .merge(monitoring_axum::routes(&monitoring)); // /metrics /livez /readyz
//!
//! # // What a test of this page needs: a registered tenant, a request, and a look at the result.
//! monitoring.tenants().register("acme".parse()?, Tier::Enterprise)?;
//! # let request = http::Request::get("/invoices/7").header("host", "acme.billing.example").body(axum::body::Body::empty())?;
//! # let response = app.oneshot(request).await?;
//! # axum::body::to_bytes(response.into_body(), 1024).await?;
//! // After a GET of http://acme.billing.example/invoices/7:
//! let metrics = monitoring.render();
//! assert!(metrics.contains(r#"saas_tenant_requests_total{tenant="acme",outcome="ok",route_group="default"} 1"#));
//! # Ok(()) }
//! ```
//!
//! Add the layer **after** the routes, the fallback and the other layers, with `Router::layer`: then it is outside of
//! them, sees the matched route, and times the other layers too. Only what catches panics may be further outside, if a
//! panic is to be counted as one.
//!
//! # What is recorded
//! | metric | kind | labels | of |
//! |---|---|---|---|
//! | `http_server_request_duration_seconds` | histogram | `http_request_method`, `http_route`, `http_response_status_code`, `error_type` | the platform |
//! | `http_server_active_requests` | gauge | `http_request_method` | the platform |
//! | `http_server_request_body_size_bytes` | histogram | `http_route` | the platform |
//! | `http_server_response_body_size_bytes` | histogram | `http_route` | the platform |
//! | `saas_http_server_time_to_head_seconds` | histogram | `http_route` | the platform, of bodies that are followed |
//! | `rpc_server_call_duration_seconds` | histogram | `rpc_system_name`, `rpc_method`, `rpc_response_status_code`, `error_type` | the platform, of gRPC |
//! | `saas_http_upgraded_connections` | gauge | `protocol` | the platform, by [`UpgradedConnection`] |
//! | `saas_http_upgraded_connection_duration_seconds` | histogram | `protocol` | the platform, by [`UpgradedConnection`] |
//! | `saas_tenant_request_duration_seconds` | histogram | `tenant`, `outcome` | each tenant |
//! | `saas_tenant_requests_total` | counter | `tenant`, `outcome`, `route_group` | each tenant |
//! | `saas_tenant_apdex_requests_total` | counter | `tenant`, `apdex` | each tenant, with [`apdex`](MonitoringLayer::apdex) |
//!
//! A request is recorded once, **when its response ends**:
//!
//! | what happened | `outcome` | `error_type` |
//! |---|---|---|
//! | the response was complete, status below 400 | `ok` | |
//! | complete, status 4xx | `client_error` | |
//! | complete, status 5xx | `server_error` | the status |
//! | the handler or the body panicked (the panic passes through) | `server_error` | `panic` |
//! | the response body failed | `server_error` | `body` |
//! | the service returned an error in place of a response | `server_error` | `service` |
//! | the response, or its body, was dropped before its end: the client went away, a time-out outside | `cancelled` | `cancelled` |
//!
//! A response that is in memory as a whole ends with its head: the server has it then, and whether the client takes it is
//! not seen. That is a body that knows its exact length, of 64 KiB at most, where the service has set no `Content-Length`
//! itself: what axum makes of a `String`, `Json` or `Bytes`. Every other body is followed until the server has taken the
//! end of it; see [`follow_all_bodies`](MonitoringLayer::follow_all_bodies).
//!
//! Complete is also what a server does not read to the end: the answer to `HEAD`, 204, 304, a body that has sent the
//! length it declared. An upgrade (101) and a `CONNECT` end with the response head: what follows is no request any more,
//! and is measured by [`UpgradedConnection`].
//!
//! # gRPC
//! Of a gRPC call (HTTP/2, `application/grpc`) `grpc-status` decides, in the head or the trailers: `OK` is `ok`,
//! `CANCELLED` is `cancelled`; UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS are
//! `server_error`, with that name as `error_type`; every other code is `client_error`. A response that ends without one is
//! a `server_error` with `error_type="incomplete"`. `rpc_method` is a method of
//! [`grpc_methods`](MonitoringLayer::grpc_methods), or a route without parameters, else `_OTHER`. It works in axum's router
//! and as the layer of tonic's server.
//!
//! # Labels
//!
//! No label holds what a client can make up. `http_route` is the matched template through nested and merged routers, or
//! `unmatched`; methods that are not of HTTP's own nine are `_OTHER`, and so is in
//! `http_server_request_duration_seconds` every method that a route has refused (405); a tenant is a registered one,
//! `__none__`, `__unknown__` or `__other__`.
//!
//! The size of a request body is its declared length, if that is a mebibyte at most and the request was answered
//! completely; where more or nothing was declared, it is what was read. So nobody makes the sum grow by what was never
//! sent, but for a mebibyte a request.
//!
//! # Whose request it is
//! A [`TenantResolver`] says so, once per request, before the handler runs. Shipped are [`FromExtension`] and
//! [`VerifiedClaim`] for what the application has verified, [`ApiKey`], [`TrustedPeerHeader`], [`Subdomain`] and
//! [`PathParameter`]; `a.or(b)` asks `b` when `a` finds none, and a closure is a resolver too. Authentication that runs
//! inside the layer names the tenant with a [`TenantSlot`]. Either way `Tenant::current()` is the tenant in the
//! handler, in the SQL and Redis wrappers it uses, and while its response body is being written, and also while either
//! is dropped because the client went away; handlers can extract it as [`CurrentTenant`].
//!
//! # Where the numbers go
//! [`routes()`] adds `/metrics` (behind a token), `/livez` and `/readyz` to the application's router; [`listen()`] serves
//! them on a port of their own, by default on the loopback interface only. [`tenant_metrics()`] shows a tenant its own.
//!
//! A scrape is written chunk by chunk, in the format and the coding that the scraper asks for. Those who ask for the same
//! within half a second share one render; how many renders there may be, and how slow a reader, is bounded by
//! [`ScrapeLimits`].
//!
//! # Twice
//! Applied twice to one request, the layer counts once: the inner one passes the request through. So the layer can go
//! around a whole application, where no route is matched yet, and once more around its routers, which then name the
//! route, and the tenant where the outer one has found none; all other options are those of the outer one. Requests that a
//! handler makes in process, to a service in the same task, are part of its own request.
//!
//! # Rate limits and browsers
//! [`RateLimitDecisions`] counts what any rate limiter decides. `Browser` (feature `browser`) measures pages where they are
//! shown: web vitals and script errors, by route and tenant.
//!
//! # Features
//! - `browser`: `Browser`; adds `governor`, `matchit`, `serde` and `serde_json`.
//! - `health` (default): `/readyz` shows operators the reasons, by the checks of the re-exported module `health` of
//!   `monitoring-core`; adds `serde`, `serde_json` and what that module needs.
//! - `http2`: the protocol of an upgraded HTTP/2 stream is told; adds HTTP/2 to axum and hyper.
//! - `propagation`: [`server_timing`](MonitoringLayer::server_timing) names the trace; adds `opentelemetry`.
//! - `gzip` (default): scrapes are compressed with gzip for scrapers that accept it, as Prometheus does; adds `flate2` with
//!   `zlib-rs`, which is all Rust.
//! - `zstd`: the same with Zstandard, preferred where both are accepted; adds `zstd`, which builds a C library.
//!
//! [axum]: https://docs.rs/axum
//! [tower]: https://docs.rs/tower
//
// The files follow a request. `layer.rs` takes the options, `settings.rs` holds them; `service.rs` takes the request, asks
// `tenant/` whose it is and `route.rs` which route it matched, and starts a measurement (`measurement.rs`). `future.rs`
// carries it to the response's head, `body.rs` to its end if that comes later; `request_body.rs` counts what the service
// reads, `grpc.rs` reads the status of a call. `report.rs` says what is recorded at the end: into the families of
// `record.rs` under the labels of `labels.rs`, by `threshold.rs` for Apdex (`apdex.rs`) and the log of `slow.rs`.
// `server_timing.rs` writes a header, `upgrade.rs` measures what a connection does after HTTP. `running.rs` keeps a layer inside another one from counting
// again. `extract.rs` is for handlers, `routes.rs`, `tenant_metrics.rs` and `listener.rs` are for those who read the
// numbers; `scrape/` writes the answer, `readiness.rs` that of probes. `closing.rs` is for the end of a service. `rate_limit.rs` counts what limiters decide, `browser/` what browsers report.

mod apdex;
mod body;
#[cfg(feature = "browser")]
mod browser;
mod closing;
mod error;
mod extract;
mod future;
mod grpc;
mod labels;
mod layer;
mod listener;
mod measurement;
mod rate_limit;
mod readiness;
mod record;
mod report;
mod request_body;
mod route;
mod routes;
mod running;
mod scrape;
mod server_timing;
mod service;
mod settings;
mod slow;
mod tenant;
mod tenant_metrics;
mod threshold;
mod upgrade;

#[cfg(feature = "browser")]
pub use browser::{Browser, InvalidPage};
pub use closing::{CloseWhileDraining, CloseWhileDrainingFuture, CloseWhileDrainingLayer, close_while_draining};
pub use error::ListenError;
pub use extract::{CurrentTenant, TenantSlot};
pub use future::ResponseFuture;
pub use layer::MonitoringLayer;
pub use listener::{MetricsListener, listen};
#[cfg(feature = "health")]
pub use monitoring_core::health;
pub use rate_limit::{RateLimitDecision, RateLimitDecisions, RateLimitFuture, RateLimitService};
pub use routes::routes;
pub use scrape::ScrapeLimits;
pub use service::MonitoringService;
pub use tenant::{
    ApiKey, CheckedBy, FromExtension, InvalidPeer, Or, PathParameter, RequestHead, Subdomain, TenantResolver,
    TrustedPeerHeader, VerifiedClaim,
};
pub use tenant_metrics::{VerifiedResolver, tenant_metrics};
pub use upgrade::UpgradedConnection;

/// The layer that measures requests; its methods are its options.
///
/// It records into the monitoring that `Monitoring::install()` has set, whether that was before or comes later.
///
/// ```
/// use axum::{Router, routing::get};
///
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(monitoring_axum::layer());
/// # let _ = app;
/// ```
pub fn layer() -> MonitoringLayer {
    MonitoringLayer::new()
}
