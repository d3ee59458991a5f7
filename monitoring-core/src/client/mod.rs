//! Calls to other services: how long they took, how they failed, for which tenant, and whether they carry the trace on.
//! Feature `client`.
//!
//! [`layer()`] goes around any HTTP client that is a tower service: hyper-util's client, a stack of tower layers, or, with
//! the feature `reqwest`, a `reqwest::Client`. With the feature `reqwest-middleware` the same is a middleware
//! ([`ClientLayer::into_middleware`]).
//!
//! ```
//! use monitoring_core::Monitoring;
//! use monitoring_core::client::{self, Dependency};
//! use tower::{Service, ServiceBuilder, ServiceExt};
//! # use tower::service_fn;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = Monitoring::builder("billing").build()?;
//! let calls = client::layer()
//!     .dependency(Dependency::new("auth0").host("*.auth0.com"))
//!     .dependency(Dependency::new("ledger").host("ledger.internal:8080").trusted()) // gets the trace
//!     .monitoring(&monitoring)?;
//! # let http_client = service_fn(async |_: http::Request<()>| Ok::<_, std::io::Error>(http::Response::new(())));
//! let mut client = ServiceBuilder::new().layer(calls).service(http_client);
//!
//! let request = http::Request::get("https://acme.eu.auth0.com/userinfo").body(())?;
//! client.ready().await?.call(request).await?;
//!
//! assert!(monitoring.render().contains(
//!     r#"http_client_request_duration_seconds_count{server_address="*.auth0.com",http_request_method="GET",http_response_status_code="200",dependency="auth0"} 1"#
//! ));
//! # Ok(()) }
//! ```
//!
//! # What is recorded
//! | metric | kind | labels | of |
//! |---|---|---|---|
//! | `http_client_request_duration_seconds` | histogram | `server_address`, `http_request_method`, `http_response_status_code`, `error_type`, `dependency` | the platform |
//! | `http_client_active_requests` | gauge | `server_address`, `dependency` | the platform |
//! | `saas_tenant_dependency_time_seconds_total` | counter | `tenant`, `dependency` | each tenant |
//!
//! A call is recorded when the **head of its response** is there, or when it has failed or was given up. The body is not
//! part of it: its reader decides when it is read, and sees how it ends.
//!
//! `dependency` and `server_address` are the name and the pattern of the [`Dependency`] that the host is of; all other
//! hosts are `_OTHER`. Neither path, query, header nor error text becomes a label.
//!
//! **`error_type`** is absent for a status below 400, and else one of these:
//!
//! | what happened | `error_type` |
//! |---|---|
//! | the response has a status of 400 or more | the status |
//! | the call was given up: its future was dropped, as by a time-out around it | `cancelled` |
//! | the host's name cannot be resolved | `dns` |
//! | nothing listens, or there is no way there | `connect` |
//! | no connection in the time for it | `connect_timeout` |
//! | the encrypted connection cannot be made: certificate, name, protocol | `tls` |
//! | no response in the time for it | `timeout` |
//! | the connection, or its stream of HTTP/2, broke before the response was there | `connection_lost` |
//! | the response breaks the protocol | `protocol` |
//! | too many redirects, or one that may not be followed | `redirect` |
//! | the request cannot be sent: its body has failed, its URL is none | `request` |
//! | anything else | `_OTHER` |
//!
//! # Attempts
//! The layer counts what passes through it. Inside of what retries (`tower::retry`, `reqwest-retry`) it counts each attempt,
//! outside of it each call, however often it was tried; a time-out outside of it makes `cancelled` of what it ends. Redirects
//! that a client follows by itself are one call. What the client refuses before it is called (an error of `poll_ready`, as
//! of a limit inside of the layer) is none.
//!
//! # The trace
//! To hosts of a [trusted](Dependency::trusted) dependency, and to no others, the current
//! [trace](crate::propagation::TraceContext) goes along, as a new span of it. A `traceparent` that the application has set
//! itself stays as it is. A client that follows redirects sends the headers of the first request to the next host too:
//! have it follow none to hosts that you do not trust, or follow them outside of the layer, as
//! `tower_http::follow_redirect` does. Baggage is never sent.
//!
//! # What it costs
//! Two readings of the clock, a comparison of the host with each pattern until one fits, two look-ups of names, and five
//! relaxed atomic additions; no allocation, but for the header where the trace goes along. Before monitoring is installed it
//! costs an atomic load, and the comparison.
//
// A request goes through `service.rs` into a `future.rs`; `call.rs` is what is measured of it. `dependency.rs` says whose
// the host is, `failure.rs` what went wrong, `message.rs` what requests and responses of different clients have in common.
// What is recorded is in `record.rs`, under the labels of `labels.rs`.

mod call;
mod dependency;
mod failure;
mod future;
mod labels;
mod layer;
mod message;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod record;
mod service;
#[cfg(test)]
mod tests;

pub use dependency::Dependency;
pub use failure::{ClientError, FailedCall};
pub use future::ResponseFuture;
pub use layer::{ClientLayer, layer};
pub use message::{ClientRequest, ClientResponse};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::ClientMiddleware;
pub use service::ClientService;
