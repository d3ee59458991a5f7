//! What `/metrics` says of the service.

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use monitoring_tests::exposition::Samples;
use serde_json::json;

use crate::bench::{Bench, SECRET, monitoring, requests, samples, signed};
use crate::sign_in::token;

#[tokio::test]
async fn requests_and_database_time_count_for_the_tenant() {
    let bench = Bench::start().await;
    let token = bench.token("initech-0010").await;
    bench.project(&token, "Counted").await;
    bench.get(&token, "/api/v1/projects/0").await;

    assert_eq!(requests("initech-0010", "ok"), 2.0);
    assert_eq!(requests("initech-0010", "client_error"), 1.0);
    assert!(samples().sum("saas_tenant_db_time_seconds_total", &[("tenant", "initech-0010")]) > 0.0);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_counts_for_the_tenant() {
    let bench = Bench::start().await;
    let token = bench.token("umbrella-0011").await;
    let answer = bench.ask(signed(&token, "BREW", "/api/v1/projects").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(requests("umbrella-0011", "client_error"), 1.0);
}

#[tokio::test]
async fn a_header_that_names_a_tenant_changes_nothing() {
    let bench = Bench::start().await;
    let token = bench.token("hooli-0012").await;
    let request = signed(&token, "GET", "/api/v1/projects").header("x-tenant-id", "stark-0013");
    assert_eq!(bench.ask(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    let stranger = Request::get("/api/v1/projects").header("x-tenant-id", "stark-0013");
    assert_eq!(bench.ask(stranger.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);

    assert_eq!(requests("hooli-0012", "ok"), 2.0);
    assert!(!monitoring().render().contains("stark-0013"));
}

#[tokio::test]
async fn a_refused_sign_in_counts_for_nobody() {
    let bench = Bench::start().await;
    let before = requests("__none__", "client_error");
    assert_eq!(bench.login("wayne-0014", "guessed").await.status, StatusCode::UNAUTHORIZED);
    assert!(requests("__none__", "client_error") > before);
    assert!(!monitoring().render().contains("wayne-0014"));
}

#[tokio::test]
async fn an_unlisted_tenant_is_counted_and_never_named() {
    let bench = Bench::start().await;
    let before = requests("__unknown__", "client_error");
    let valid = token("unlisted-9999", SECRET);
    assert_eq!(bench.get(&valid, "/api/v1/projects").await.status, StatusCode::FORBIDDEN);
    assert!(requests("__unknown__", "client_error") > before);
    assert!(!monitoring().render().contains("unlisted-9999"));
}

#[tokio::test]
async fn a_feed_that_the_client_leaves_is_cancelled() {
    let bench = Bench::start().await;
    let token = bench.token("wonka-0015").await;
    let feed = bench.send(signed(&token, "GET", "/api/v1/activity").body(Body::empty()).unwrap()).await;
    assert_eq!(feed.status(), StatusCode::OK);
    assert_eq!(requests("wonka-0015", "cancelled"), 0.0);
    drop(feed);
    assert_eq!(requests("wonka-0015", "cancelled"), 1.0);
}

#[tokio::test]
async fn reports_are_counted_by_the_facade_once_they_are_made() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0016").await;
    let project = bench.project(&token, "Counted").await;
    let made = || samples().sum("reports_generated_total", &[("outcome", "made")]);
    let before = made();
    bench.post(&token, &format!("/api/v1/projects/{project}/reports"), json!({"title": "June"})).await;
    bench.app.stop(std::time::Duration::from_secs(30)).await;
    assert!(made() > before);
}

#[tokio::test]
async fn routes_are_named_by_their_templates() {
    let bench = Bench::start().await;
    let token = bench.token("globex-0017").await;
    bench.get(&token, "/api/v1/projects/123456").await;
    bench.ask(Request::get("/wp-login.php").body(Body::empty()).unwrap()).await;
    let metrics = monitoring().render();
    assert!(metrics.contains("http_route=\"/api/v1/projects/{project}\""));
    assert!(metrics.contains("http_route=\"unmatched\""));
    assert!(!metrics.contains("/123456") && !metrics.contains("wp-login"));
}

/// What a tenant is shown of itself, and the type of it.
async fn own_metrics(bench: &Bench, token: &str, accept: &str) -> (String, Vec<u8>) {
    let request = signed(token, "GET", "/api/v1/metrics").header(ACCEPT, accept);
    let (head, body) = bench.send(request.body(Body::empty()).unwrap()).await.into_parts();
    assert_eq!(head.status, StatusCode::OK);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.headers[CONTENT_TYPE].to_str().unwrap().to_owned(), body.to_vec())
}

#[tokio::test]
async fn a_tenant_sees_its_own_series_and_no_others() {
    let bench = Bench::start().await;
    for tenant in ["stark-0021", "wayne-0022"] {
        let token = bench.token(tenant).await;
        bench.project(&token, "Seen").await;
    }
    let (_, text) = own_metrics(&bench, &bench.token("stark-0021").await, "text/plain").await;
    let own: Samples = String::from_utf8(text).unwrap().parse().unwrap();
    assert_eq!(own.sum("saas_tenant_requests_total", &[("outcome", "ok")]), 3.0);
    assert!(own.sum("saas_tenant_db_time_seconds_total", &[]) > 0.0);
    assert!(own.iter().all(|(series, _)| series.labels["tenant"] == "stark-0021"), "{own:?}");
}

#[tokio::test]
async fn own_metrics_come_in_each_format() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0024").await;
    for accept in [
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    ] {
        let (content_type, body) = own_metrics(&bench, &token, accept).await;
        assert_eq!(content_type, accept);
        assert!(String::from_utf8_lossy(&body).contains("acme-0024"), "{accept}");
    }
}

#[tokio::test]
async fn without_a_token_no_tenants_metrics_are_shown() {
    let bench = Bench::start().await;
    let answer = bench.ask(Request::get("/api/v1/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_free_tenant_has_its_requests_by_name_and_its_database_time_in_the_total() {
    let bench = Bench::start().await;
    let others = || samples().sum("saas_tenant_db_time_seconds_total", &[("tenant", "__other__")]);
    let before = others();
    let token = bench.token("initech-0026").await;
    bench.project(&token, "Counted").await;

    assert_eq!(requests("initech-0026", "ok"), 2.0);
    assert_eq!(samples().sum("saas_tenant_request_duration_seconds_count", &[("tenant", "initech-0026")]), 2.0);
    assert_eq!(samples().sum("saas_tenant_db_time_seconds_total", &[("tenant", "initech-0026")]), 0.0);
    assert!(others() > before);
}

#[tokio::test]
async fn what_a_browser_reports_is_counted_by_page() {
    let bench = Bench::start().await;
    let page = bench.send(Request::get("/app").body(Body::empty()).unwrap()).await;
    assert_eq!(page.status(), StatusCode::OK);
    let report = r#"{"p":"/app","l":1200,"i":40,"c":0,"e":0,"r":0}"#;
    let answer = bench.ask(Request::post("/vitals.js").body(Body::from(report)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let page = [("http_route", "/app")];
    assert_eq!(samples().sum("saas_browser_largest_contentful_paint_seconds_count", &page), 1.0);
}
