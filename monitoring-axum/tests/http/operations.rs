//! `/metrics` and the probes, on the application's router and on the metrics' own listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get as on_get;
use http::StatusCode;
use monitoring_axum::RequestHead;
use monitoring_core::{Monitoring, TenantRegistry};
use monitoring_tests::exposition::Samples;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Bench, get, head, send};

const TOKEN: &str = "ahz6Eex7ooJ3quai";

fn with_token(token: &[u8]) -> Request {
    let mut request = get("/metrics");
    request.headers_mut().insert("authorization", token.try_into().unwrap());
    request
}

fn guarded() -> Bench {
    Bench { monitoring: Monitoring::builder("test").metrics_token(TOKEN).build().unwrap() }
}

fn application(bench: &Bench) -> Router {
    Router::new().route("/", on_get("home")).layer(bench.layer()).merge(monitoring_axum::routes(&bench.monitoring))
}

#[tokio::test]
async fn metrics_open_with_the_token_only() {
    let bench = guarded();
    let app = application(&bench);
    send(&app, get("/")).await;

    for scheme in ["Bearer", "bearer", "BEARER"] {
        let response = head(&app, with_token(format!("{scheme} {TOKEN}").as_bytes())).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    }
    let (_, text) = send(&app, with_token(format!("Bearer {TOKEN}").as_bytes())).await;
    let samples: Samples = text.parse().unwrap();
    let labels = [("http_request_method", "GET"), ("http_route", "/"), ("http_response_status_code", "200")];
    assert_eq!(samples.value("http_server_request_duration_seconds_count", &labels), Some(1.0));

    let long = [b"Bearer ".as_slice(), &[b'a'; 60_000]].concat();
    for wrong in [
        b"Bearer ahz6Eex7ooJ3quaI".as_slice(),
        b"Bearer ahz6Eex7ooJ3qua",
        b"Bearer ahz6Eex7ooJ3quai ",
        b"Bearer ",
        b"Bearer",
        b"Basic ahz6Eex7ooJ3quai",
        b"ahz6Eex7ooJ3quai",
        b"\xff\xfe",
        &long,
    ] {
        let response = head(&app, with_token(wrong)).await;
        assert_eq!(response.status(), 401, "{}", wrong.escape_ascii());
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    assert_eq!(send(&app, get("/metrics")).await, (401, String::new()));
}

#[tokio::test]
async fn metrics_are_shut_and_say_why_where_no_token_is_set() {
    let bench = Bench::new();
    for request in [get("/metrics"), with_token(b"Bearer "), with_token(format!("Bearer {TOKEN}").as_bytes())] {
        let (status, text) = send(&application(&bench), request).await;
        assert_eq!(status, 403);
        assert_eq!(
            text,
            "/metrics is shut here because no token is set: set MONITORING_METRICS_TOKEN, or use the metrics' own listener \
             (monitoring_axum::listen)\n"
        );
    }
}

#[tokio::test]
async fn readiness_follows_the_service_and_liveness_does_not() {
    let bench = Bench::new();
    let app = application(&bench);
    let probes = async || (send(&app, get("/livez")).await, send(&app, get("/readyz")).await);
    let bare = |status| (status, String::new());
    assert_eq!(probes().await, (bare(200), bare(200)));
    bench.monitoring.set_ready(false);
    assert_eq!(probes().await, (bare(200), bare(503)));
    bench.monitoring.set_ready(true);
    assert_eq!(probes().await, (bare(200), bare(200)));
    bench.monitoring.shutdown(Duration::from_secs(5)).await.unwrap();
    assert_eq!(probes().await, (bare(200), bare(503)));
}

#[tokio::test]
async fn probes_and_scrapes_merged_after_the_layer_are_not_counted() {
    let bench = guarded();
    let app = application(&bench);
    send(&app, get("/livez")).await;
    send(&app, get("/readyz")).await;
    send(&app, with_token(format!("Bearer {TOKEN}").as_bytes())).await;
    assert_eq!(bench.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_matches_no_route_is_counted_also_where_the_routes_are_merged_after_the_layer() {
    let bench = Bench::new();
    for app in [
        application(&bench),
        monitoring_axum::routes(&bench.monitoring).merge(Router::new().route("/", on_get("home")).layer(bench.layer())),
        application(&bench).layer(bench.layer()),
    ] {
        let before = bench.requests().len();
        send(&app, get("/nothing")).await;
        send(&app, Request::options("*").body(Body::empty()).unwrap()).await;
        assert_eq!(bench.requests().len(), before + 2);
    }
    assert!(bench.requests().iter().all(|request| request.ends_with(" unmatched 404")), "{:?}", bench.requests());
}

#[tokio::test]
async fn a_fallback_of_the_application_keeps_its_layers_where_the_routes_are_merged() {
    let bench = Bench::with_tenants(&["acme"]);
    let acme = |_: &RequestHead<'_>, tenants: &TenantRegistry| tenants.lookup("acme");
    let app = Router::new()
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
        .layer(bench.layer().tenant(acme))
        .merge(monitoring_axum::routes(&bench.monitoring));
    assert_eq!(send(&app, get("/nothing")).await, (404, "no such page".to_owned()));
    assert_eq!(bench.tenant_requests(), ["acme client_error unmatched"]);
}

#[tokio::test]
async fn the_routes_fit_into_a_router_with_a_state() {
    let bench = Bench::new();
    let app: Router = Router::new()
        .route("/", on_get(|state: axum::extract::State<u8>| async move { state.0.to_string() }))
        .merge(monitoring_axum::routes(&bench.monitoring))
        .with_state(7);
    assert_eq!(send(&app, get("/")).await.1, "7");
    assert_eq!(send(&app, get("/livez")).await.0, 200);
}

fn on_a_free_port() -> Bench {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Bench { monitoring: Monitoring::builder("test").metrics_address(address).build().unwrap() }
}

/// Sends one request, and reads until the server closes the connection.
async fn exchange(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn the_own_listener_serves_metrics_and_probes_until_shutdown() {
    let bench = on_a_free_port();
    let address = monitoring_axum::listen(&bench.monitoring).await.unwrap().address();
    assert!(address.ip().is_loopback());

    let metrics = exchange(address, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{metrics}");
    assert!(metrics.contains("monitoring_series"), "{metrics}");
    assert!(exchange(address, "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(exchange(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(exchange(address, "/").await.starts_with("HTTP/1.1 404 "));
    bench.monitoring.set_ready(false);
    assert!(exchange(address, "/readyz").await.starts_with("HTTP/1.1 503 "));

    // A scraper keeps its connection, another one sends half a request: neither holds the shutdown up.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    slow.write_all(b"GET /met").await.unwrap();
    bench.monitoring.shutdown(Duration::from_secs(20)).await.unwrap();
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn one_connection_more_than_it_serves_takes_the_place_of_the_one_that_is_idle_for_longest() {
    let bench = on_a_free_port();
    let address = monitoring_axum::listen(&bench.monitoring).await.unwrap().address();
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await?;
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await?);
        }
        std::io::Result::Ok(())
    };
    let mut idle = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream).await.unwrap();
        idle.push(stream);
    }
    // The first is not idle any more.
    ask(&mut idle[0]).await.unwrap();
    assert!(exchange(address, "/metrics").await.starts_with("HTTP/1.1 200 OK\r\n"));
    ask(&mut idle[1]).await.unwrap_err();
    for kept in [0, 2, 63] {
        ask(&mut idle[kept]).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_in_use_is_one_error_that_names_the_setting_and_the_remedy() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = other.local_addr().unwrap();
    let monitoring = Monitoring::builder("test").metrics_address(address).build().unwrap();
    let error = monitoring_axum::listen(&monitoring).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the metrics listener cannot use {address}: the port is in use; stop what listens there, or set \
             OTEL_EXPORTER_PROMETHEUS_PORT to another port (0 takes any free one)"
        )
    );
    // Nothing else breaks.
    monitoring.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[test]
fn listening_outside_of_a_runtime_that_can_serve_is_an_error() {
    let bench = on_a_free_port();
    let runtimes = [
        tokio::runtime::Builder::new_current_thread().build().unwrap(),
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap(),
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
    ];
    let mut errors =
        vec![match pin!(monitoring_axum::listen(&bench.monitoring)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(listener) => listener.unwrap_err(),
            Poll::Pending => panic!("there is nothing to wait for"),
        }];
    errors.extend(runtimes.map(|runtime| runtime.block_on(monitoring_axum::listen(&bench.monitoring)).unwrap_err()));
    for error in errors {
        assert_eq!(
            error.to_string(),
            "the metrics listener needs a Tokio runtime with I/O and time enabled: await monitoring_axum::listen inside \
             one, such as #[tokio::main] makes"
        );
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_one_error_that_names_the_setting() {
    // 192.0.2.0/24 is for documentation: no machine has it.
    let monitoring = Monitoring::builder("test").metrics_address(([192, 0, 2, 1], 0).into()).build().unwrap();
    let error = monitoring_axum::listen(&monitoring).await.unwrap_err().to_string();
    assert!(error.starts_with("the metrics listener cannot bind 192.0.2.1:0: "), "{error}");
    assert!(error.contains("OTEL_EXPORTER_PROMETHEUS_HOST"), "{error}");
}
