//! HTTP server metrics per tenant, for [axum] and any [tower] HTTP service.
//!
//! One layer measures every request: how long it took to the end of its response, how it went, for which tenant. It
//! costs less than a microsecond a request (`cargo bench -p monitoring-benches` shows it beside a hand-written middleware);
//! before `Monitoring::install()` it costs one atomic load.
//!
//! The layer allocates nothing for a request whose body has a declared length of up to a mebibyte, or none; any other
//! request body is boxed, to count what is read of it. `Router::layer` adds three allocations a request: two that axum
//! makes for every layer (the service and its future), and one for every layer that changes the type of the response's
//! body, as each must that follows a response to its end.
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
//! | `saas_tenant_request_duration_seconds` | histogram | `tenant`, `outcome` | each tenant |
//! | `saas_tenant_requests_total` | counter | `tenant`, `outcome`, `route_group` | each tenant |
//!
//! A request is recorded once, **when its response body ends**:
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
//! Complete is also what a server does not read to the end: the answer to `HEAD`, 204, 304, a body that has sent the
//! length it declared. An upgrade (101) and a `CONNECT` end with the response head: what follows is no request any more.
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
//! route, and the tenant where the outer one has found none. Requests that a handler makes in process, to a service in
//! the same task, are part of its own request.
//!
//! # Features
//! - `gzip` (default): scrapes are compressed with gzip for scrapers that accept it, as Prometheus does; adds `flate2` with
//!   `zlib-rs`, which is all Rust.
//! - `zstd`: the same with Zstandard, preferred where both are accepted; adds `zstd`, which builds a C library.
//!
//! [axum]: https://docs.rs/axum
//! [tower]: https://docs.rs/tower
//
// The files follow a request. `layer.rs` holds the options; `service.rs` takes the request, asks `tenant/` whose it is
// and `route.rs` which route it matched, and starts a measurement (`measurement.rs`). `future.rs` carries it to the
// response's head, `body.rs` to its end; `request_body.rs` counts what the service reads. What is recorded are the
// families of `record.rs` under the labels of `labels.rs`. `running.rs` keeps a layer inside another one from counting
// again. `extract.rs` is for handlers, `routes.rs`, `tenant_metrics.rs` and `listener.rs` are for those who read the
// numbers; `scrape/` writes the answer.

mod body;
mod error;
mod extract;
mod future;
mod labels;
mod layer;
mod listener;
mod measurement;
mod record;
mod request_body;
mod route;
mod routes;
mod running;
mod scrape;
mod service;
mod tenant;
mod tenant_metrics;

pub use body::ResponseBody;
pub use error::ListenError;
pub use extract::{CurrentTenant, TenantSlot};
pub use future::ResponseFuture;
pub use layer::MonitoringLayer;
pub use listener::{MetricsListener, listen};
pub use routes::routes;
pub use scrape::ScrapeLimits;
pub use service::MonitoringService;
pub use tenant::{
    ApiKey, FromExtension, InvalidPeer, Or, PathParameter, RequestHead, Subdomain, TenantResolver, TrustedPeerHeader,
    VerifiedClaim,
};
pub use tenant_metrics::{VerifiedResolver, tenant_metrics};

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
