//! The layer, seen from outside.
//!
//! `outcomes.rs`: how each end of a request is recorded; `panics.rs`; `routers.rs`: routes, methods, the layer twice;
//! `options.rs`: what is switched on; `tenants.rs`: resolvers and carrying; `bodies.rs`: nothing is changed on the way;
//! `connections.rs`: real clients on real connections; `exemplars.rs`; `operations.rs`: `/metrics` and the probes; `scrapes.rs`: formats, codings, slow and many scrapers;
//! `tenant_metrics.rs`: what a tenant is shown; `rate_limits.rs`; `browser.rs`: what browsers report.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test calls may panic as the test may"
)]

mod bodies;
mod browser;
mod connections;
mod exemplars;
mod operations;
mod options;
mod outcomes;
mod panics;
mod rate_limits;
mod routers;
mod scrapes;
mod script;
mod tenant_metrics;
mod tenants;

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body_util::BodyExt;
use monitoring_axum::MonitoringLayer;
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::exposition::Samples;
use tower::ServiceExt;

/// A monitoring of its own, and what is recorded in it.
struct Bench {
    monitoring: Monitoring,
}

impl Bench {
    fn new() -> Self {
        Self { monitoring: Monitoring::builder("test").build().unwrap() }
    }

    fn with_tenants(ids: &[&str]) -> Self {
        let bench = Self::new();
        for id in ids {
            bench.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap();
        }
        bench
    }

    fn layer(&self) -> MonitoringLayer {
        monitoring_axum::layer().monitoring(&self.monitoring).unwrap()
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// All requests recorded so far, as `METHOD route status error_type`, once for each.
    fn requests(&self) -> Vec<String> {
        let names = ["http_request_method", "http_route", "http_response_status_code", "error_type"];
        self.counted("http_server_request_duration_seconds_count", &names)
    }

    /// All requests recorded so far, as `tenant outcome route_group`, once for each.
    fn tenant_requests(&self) -> Vec<String> {
        let requests = self.counted("saas_tenant_requests_total", &["tenant", "outcome", "route_group"]);
        let timed = self.counted("saas_tenant_request_duration_seconds_count", &["tenant", "outcome"]);
        assert_eq!(requests.len(), timed.len(), "each request is both counted and timed");
        requests
    }

    fn counted(&self, name: &str, labels: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (series, count) in self.samples().iter().filter(|(series, _)| series.name == name) {
            assert!(series.labels.keys().all(|label| labels.contains(&label.as_str())), "{series}");
            let texts: Vec<_> = labels.iter().filter_map(|label| series.labels.get(*label)).cloned().collect();
            found.extend(std::iter::repeat_n(texts.join(" "), count as usize));
        }
        found
    }

    fn in_flight(&self) -> f64 {
        self.samples().sum("http_server_active_requests", &[])
    }

    fn body_bytes(&self, which: &str) -> f64 {
        self.samples().sum(&format!("http_server_{which}_body_size_bytes_sum"), &[])
    }

    /// Waits until so many requests are recorded.
    async fn recorded(&self, requests: usize) -> Vec<String> {
        until(|| self.requests().len() >= requests).await;
        self.requests()
    }
}

/// Waits for what happens on another task.
async fn until(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < deadline, "it has not happened within 20 seconds");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The response's head, with the body still to be read.
async fn head(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

/// The whole response, as a status and a text.
async fn send(app: &Router, request: Request<Body>) -> (u16, String) {
    let (head, body) = head(app, request).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), String::from_utf8(bytes.into()).unwrap())
}
