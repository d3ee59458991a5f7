//! A service that runs `metrics-exporter-prometheus` already: what our layer measures is on its endpoint, as it would be on ours.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use monitoring_axum::{RequestHead, VerifiedClaim};
use monitoring_core::{CardinalityBudget, Monitoring, catalogue};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::promtool_check;
use tokio::net::TcpListener;

/// A service, and its monitoring.
struct Service {
    monitoring: Monitoring,
    address: SocketAddr,
}

impl Service {
    async fn start(monitoring: Monitoring, metrics: Router) -> Self {
        let claim = VerifiedClaim::new(|request: &RequestHead<'_>| {
            Some(request.headers().get("x-verified-by-test")?.to_str().ok()?.to_owned())
        });
        let layer = monitoring_axum::layer().monitoring(&monitoring).unwrap().tenant(claim);
        let app = Router::new()
            .route("/projects/{id}", get("a project"))
            .route("/broken", get(StatusCode::BAD_GATEWAY))
            .route("/size", get(async |request: Request| request.uri().to_string()))
            .fallback(StatusCode::NOT_FOUND)
            .layer(layer)
            .merge(metrics);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, serve).await });
        Self { monitoring, address }
    }

    async fn get(&self, path: &str, tenant: Option<&str>) {
        let mut request = reqwest::Client::new().get(format!("http://{}{path}", self.address));
        if let Some(tenant) = tenant {
            request = request.header("x-verified-by-test", tenant);
        }
        request.send().await.unwrap().bytes().await.unwrap();
    }

    async fn traffic(&self) {
        for tenant in [Some("acme"), Some("zeta"), Some("omega"), None] {
            for path in ["/projects/7", "/projects/8", "/broken", "/size?of=this", "/nowhere"] {
                self.get(path, tenant).await;
            }
        }
    }
}

/// A router with the endpoint that the application has.
fn endpoint(monitoring: &Monitoring, handle: PrometheusHandle) -> Router {
    let monitoring = monitoring.clone();
    let render = move || {
        monitoring.collect();
        std::future::ready(handle.render())
    };
    Router::new().route("/their-metrics", get(render))
}

/// The series of requests: not their durations, which differ.
fn counted(samples: &Samples) -> Vec<(Series, f64)> {
    let is_counted = |series: &Series| {
        let is_of_requests = series.name.starts_with("http_") || series.name.starts_with("saas_");
        let is_time = series.name.ends_with("_seconds_sum") || series.name.ends_with("_seconds_bucket");
        is_of_requests && !is_time
    };
    samples.iter().filter(|(series, _)| is_counted(series)).map(|(series, value)| (series.clone(), value)).collect()
}

#[tokio::test]
async fn requests_are_on_the_endpoint_that_the_application_has() {
    let mut exporter = PrometheusBuilder::new();
    for (name, buckets) in catalogue::histogram_buckets() {
        exporter = exporter.set_buckets_for_metric(Matcher::Full(name), buckets).unwrap();
    }
    let recorder = exporter.build_recorder();
    let handle = recorder.handle();

    // Two of the tenants have series of their own.
    let budget = CardinalityBudget::default().per_family(5).per_tenant(5);
    let builder = Monitoring::builder("test").cardinality_budget(budget).max_tenants(100);
    let ours = Service::start(builder.clone().build().unwrap(), Router::new()).await;
    let monitoring = builder.record_into(recorder).build().unwrap();
    let theirs = Service::start(monitoring.clone(), endpoint(&monitoring, handle)).await;
    ours.traffic().await;
    theirs.traffic().await;

    // A request is counted when its response has been written, which its client may see first.
    let url = format!("http://{}/their-metrics", theirs.address);
    let deadline = Instant::now() + Duration::from_secs(10);
    let (text, expected, found) = loop {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let expected = counted(&ours.monitoring.render().parse().unwrap());
        let found = counted(&text.parse().unwrap());
        let requests = found.iter().filter(|(series, _)| series.name == "saas_tenant_requests_total");
        let requests: f64 = requests.map(|(_, count)| count).sum();
        if expected == found && requests == 20.0 || Instant::now() > deadline {
            break (text, expected, found);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(expected, found);

    let samples: Samples = text.parse().unwrap();
    let (count, bucket) = ("http_server_request_duration_seconds_count", "http_server_request_duration_seconds_bucket");
    assert_eq!(samples.sum(count, &[]), 20.0);
    assert_eq!(samples.sum(count, &[("http_route", "/projects/{id}"), ("http_request_method", "GET")]), 8.0);
    assert_eq!(samples.sum(bucket, &[("le", "+Inf")]), 20.0);
    assert!(samples.sum(bucket, &[("le", "10")]) > 0.0);
    assert_eq!(samples.sum("saas_tenant_requests_total", &[]), 20.0);
    assert!(samples.sum("saas_tenant_requests_total", &[("tenant", "acme")]) > 0.0);
    assert!(samples.sum("saas_tenant_requests_total", &[("tenant", "__other__")]) > 0.0);
    assert_eq!(samples.sum("saas_tenant_requests_total", &[("tenant", "__none__")]), 5.0);
    let findings = promtool_check(&text).unwrap();
    assert!(findings.is_empty(), "{findings:?}\n{text}");
    // And ours shows nothing twice.
    assert_eq!(theirs.monitoring.render(), "");
}
