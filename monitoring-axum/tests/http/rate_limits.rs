//! What rate limiters decide is counted for each tenant.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use http::StatusCode;
use monitoring_axum::{FromExtension, RateLimitDecision, RateLimitDecisions};

use crate::{Bench, send};

/// A limiter of somebody else, which refuses what asks for it.
async fn limiter(request: Request, next: Next) -> Response {
    if request.headers().contains_key("too-many") {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    next.run(request).await
}

fn request(tenant: &'static str, path: &str, is_too_many: bool) -> Request {
    let request = Request::get(path).extension(tenant);
    let request = if is_too_many { request.header("too-many", "1") } else { request };
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn what_a_limiter_answers_is_counted_as_its_decision() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let app = Router::new()
        .route("/", on_get(|| async { "here" }))
        .route("/broken", on_get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(from_fn(limiter))
        .layer(RateLimitDecisions::of("api").monitoring(&bench.monitoring).unwrap())
        .layer(bench.layer().tenant(FromExtension::new(|tenant: &&'static str| Some(*tenant))));
    for request in [
        request("acme", "/", false),
        request("acme", "/", true),
        request("zeta", "/", true),
        request("zeta", "/broken", false),
    ] {
        send(&app, request).await;
    }
    let mut decisions = bench.counted("saas_ratelimit_decisions_total", &["tenant", "limiter", "decision"]);
    decisions.sort();
    assert_eq!(decisions, ["acme api allowed", "acme api rejected", "zeta api allowed", "zeta api rejected"]);
}

#[test]
fn a_limiter_can_tell_its_decisions_itself() {
    let bench = Bench::new();
    let decisions = RateLimitDecisions::of("logins").monitoring(&bench.monitoring).unwrap();
    decisions.record(RateLimitDecision::Rejected);
    let counted = bench.counted("saas_ratelimit_decisions_total", &["tenant", "limiter", "decision"]);
    assert_eq!(counted, ["__none__ logins rejected"]);
}
