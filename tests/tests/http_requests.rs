//! Each kind of request to a real server on a real port changes exactly the series that it should, and no other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, StatusCode};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use monitoring_axum::{RequestHead, Subdomain, TenantResolver, TrustedPeerHeader, VerifiedClaim};
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::exposition::{Samples, Series};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_http::catch_panic::CatchPanicLayer;

/// A server with all kinds of routes, and the monitoring of it.
struct Server {
    monitoring: Monitoring,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        for id in ["acme", "zeta"] {
            monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap();
        }
        let signed = VerifiedClaim::new(|request: &RequestHead<'_>| {
            let token = request.headers().get("authorization")?.to_str().ok()?;
            token.strip_prefix("Signed ").map(str::to_owned)
        });
        // No peer on the loopback interface is the gateway.
        let gateway = TrustedPeerHeader::new(HeaderName::from_static("x-tenant"), ["192.0.2.1"]).unwrap();
        let layer = monitoring_axum::layer()
            .monitoring(&monitoring)
            .unwrap()
            .tenant(signed.or(gateway).or(Subdomain::of("example.com")))
            .route_group(|template| if template == "unmatched" { "unmatched" } else { "app" });

        let api = Router::new()
            .route("/projects/{id}", get("a project").delete(StatusCode::NO_CONTENT))
            .route("/projects", post(async |body: Bytes| (StatusCode::CREATED, body)))
            .route("/forbidden", get(StatusCode::FORBIDDEN))
            .route("/broken", get((StatusCode::BAD_GATEWAY, "no answer")))
            .route("/panics", get(panics))
            .route("/slow", get(pending::<()>))
            .route("/events", get(events));
        let app = Router::new()
            .nest("/api", api)
            .fallback(StatusCode::NOT_FOUND)
            .layer(layer)
            .layer(CatchPanicLayer::new())
            .merge(monitoring_axum::routes(&monitoring));

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, serve).await });
        let server = Self { monitoring, address };
        // The first scrape makes the series about the store itself.
        server.samples();
        server
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// What changed since then in the metrics of the service; those about the store itself grow with them.
    fn changes(&self, since: &Samples) -> Vec<(Series, f64)> {
        let changes = self.samples().since(since).into_iter();
        let of_the_store = ["monitoring_series", "monitoring_series_bytes"];
        changes.filter(|(series, _)| !of_the_store.contains(&series.name.as_str())).collect()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request, and reads the response until the server closes the connection.
    async fn exchange(&self, request: &Request) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.text("close").as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    async fn until(&self, reached: impl Fn(&Samples) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(&self.samples()) {
            assert!(Instant::now() < deadline, "not within 20 seconds:\n{}", self.monitoring.render());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn panics() -> &'static str {
    panic!("the handler fails")
}

/// A first event, and then none.
async fn events() -> Body {
    let first = stream::iter([Ok::<_, Infallible>("first\n")]);
    Body::from_stream(first.chain(stream::pending()))
}

/// A request as a client writes it.
struct Request {
    line: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
}

impl Request {
    fn new(line: &'static str, headers: &'static [&'static str]) -> Self {
        Self { line, headers, body: "" }
    }

    fn text(&self, connection: &str) -> String {
        let Self { line, headers, body } = self;
        let mut text = format!("{line} HTTP/1.1\r\nconnection: {connection}\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            text += "host: localhost\r\n";
        }
        for header in *headers {
            text += header;
            text += "\r\n";
        }
        if !body.is_empty() {
            text += &format!("content-length: {}\r\n", body.len());
        }
        text + "\r\n" + body
    }
}

/// What a request must leave behind.
struct Expected {
    method: &'static str,
    route: &'static str,
    /// Empty where there was no response.
    status: &'static str,
    error_type: &'static str,
    tenant: &'static str,
    outcome: &'static str,
    /// Of the request's body; `None` where the request was not answered completely.
    received: Option<f64>,
    /// Of the response's body; `None` where there was no response.
    sent: Option<f64>,
    /// Whether the time to the head is told apart.
    is_streamed: bool,
}

impl Expected {
    /// Checks that exactly these series have changed, each by what one request changes.
    fn check(&self, changes: &[(Series, f64)]) {
        let mut left: BTreeSet<String> = changes.iter().map(|(series, _)| series.to_string()).collect();
        let mut take = |series: &Series| {
            assert!(left.remove(&series.to_string()), "{series} has not changed: {changes:#?}");
            changes.iter().find(|(changed, _)| changed == series).map_or(0.0, |(_, change)| *change)
        };

        let labels = [
            ("http_request_method", self.method),
            ("http_route", self.route),
            ("http_response_status_code", self.status),
            ("error_type", self.error_type),
        ];
        let labels: Vec<_> = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let group = if self.route == "unmatched" { "unmatched" } else { "app" };
        let tenant_labels = [("tenant", self.tenant), ("outcome", self.outcome)];

        let counter = [tenant_labels.as_slice(), &[("route_group", group)]].concat();
        assert_eq!(take(&Series::new("saas_tenant_requests_total", &counter)), 1.0);

        let mut histogram = |name: &str, labels: &[(&str, &str)]| {
            assert_eq!(take(&Series::new(&format!("{name}_count"), labels)), 1.0, "{name}");
            let mut buckets = 0;
            for (series, change) in changes {
                let mut without_bound = series.clone();
                let bound = without_bound.labels.remove("le");
                without_bound.name = format!("{name}_count");
                if bound.is_some()
                    && series.name == format!("{name}_bucket")
                    && without_bound == Series::new(&without_bound.name, labels)
                {
                    assert_eq!(*change, 1.0, "{series}");
                    take(series);
                    buckets += 1;
                }
            }
            assert!(buckets > 0, "{name} has no bucket");
            // A sum that grows by nothing has not changed.
            let sum = Series::new(&format!("{name}_sum"), labels);
            if changes.iter().any(|(changed, _)| *changed == sum) { take(&sum) } else { 0.0 }
        };
        let seconds = histogram("http_server_request_duration_seconds", &labels);
        assert!(seconds > 0.0 && seconds < 20.0, "{seconds}");
        // Both have measured the same, up to what adding it to another sum rounds off.
        let of_tenant = histogram("saas_tenant_request_duration_seconds", &tenant_labels);
        assert!((of_tenant - seconds).abs() < 1e-6, "{of_tenant} {seconds}");
        let route = [("http_route", self.route)];
        if let Some(received) = self.received {
            assert_eq!(histogram("http_server_request_body_size_bytes", &route), received);
        }
        if let Some(sent) = self.sent {
            assert_eq!(histogram("http_server_response_body_size_bytes", &route), sent);
        }
        if self.is_streamed {
            let to_head = histogram("saas_http_server_time_to_head_seconds", &route);
            assert!(to_head > 0.0 && to_head < seconds, "{to_head} {seconds}");
        }
        assert_eq!(left, BTreeSet::new(), "nothing else has changed");
    }
}

#[tokio::test]
async fn each_kind_of_request_changes_exactly_its_own_series() {
    let server = Server::start().await;
    let ok = Expected {
        method: "GET",
        route: "/api/projects/{id}",
        status: "200",
        error_type: "",
        tenant: "acme",
        outcome: "ok",
        received: Some(0.0),
        sent: Some(9.0),
        is_streamed: false,
    };
    let kinds = [
        ("ok", Request::new("GET /api/projects/7?page=2", &["authorization: Signed acme"]), Expected { ..ok }),
        (
            "ok, with bodies",
            Request { line: "POST /api/projects", headers: &["authorization: Signed zeta"], body: "{\"name\":1}" },
            Expected {
                method: "POST",
                route: "/api/projects",
                status: "201",
                tenant: "zeta",
                received: Some(10.0),
                sent: Some(10.0),
                ..ok
            },
        ),
        (
            "ok, without a body",
            Request::new("DELETE /api/projects/7", &["host: acme.example.com"]),
            Expected { method: "DELETE", status: "204", sent: Some(0.0), ..ok },
        ),
        (
            "ok, the head of it",
            Request::new("HEAD /api/projects/7", &["authorization: Signed acme"]),
            Expected { method: "HEAD", sent: Some(0.0), ..ok },
        ),
        (
            "client error",
            Request::new("GET /api/forbidden", &["authorization: Signed acme"]),
            Expected { route: "/api/forbidden", status: "403", outcome: "client_error", sent: Some(0.0), ..ok },
        ),
        (
            "server error",
            Request::new("GET /api/broken", &["authorization: Signed acme"]),
            Expected { route: "/api/broken", status: "502", error_type: "502", outcome: "server_error", ..ok },
        ),
        (
            "panic",
            Request::new("GET /api/panics", &["authorization: Signed acme"]),
            Expected {
                route: "/api/panics",
                status: "",
                error_type: "panic",
                outcome: "server_error",
                received: None,
                sent: None,
                ..ok
            },
        ),
        (
            "unknown route",
            Request::new("GET /.git/config?x=%00", &["authorization: Signed acme"]),
            Expected { route: "unmatched", status: "404", outcome: "client_error", sent: Some(0.0), ..ok },
        ),
        (
            "unknown method",
            Request::new("BREW /api/projects/7", &["authorization: Signed acme"]),
            Expected { method: "_OTHER", status: "405", outcome: "client_error", sent: Some(0.0), ..ok },
        ),
        ("no tenant", Request::new("GET /api/projects/7", &[]), Expected { tenant: "__none__", ..ok }),
        (
            "unknown tenant",
            Request::new("GET /api/projects/7", &["host: nobody.example.com"]),
            Expected { tenant: "__unknown__", ..ok },
        ),
        (
            "invalid tenant",
            Request::new("GET /api/projects/7", &["authorization: Signed __other__"]),
            Expected { tenant: "__unknown__", ..ok },
        ),
        (
            "forged tenant header",
            Request::new("GET /api/projects/7", &["x-tenant: acme", "x-forwarded-for: 192.0.2.1"]),
            Expected { tenant: "__none__", ..ok },
        ),
        (
            "forged tenant header beside a verified claim",
            Request::new(
                "GET /api/projects/7",
                &["x-tenant: zeta", "host: zeta.example.com", "authorization: Signed acme"],
            ),
            Expected { ..ok },
        ),
    ];

    for (kind, request, expected) in kinds {
        let before = server.samples();
        let response = server.exchange(&request).await;
        // The panic is caught outside of the layer.
        let status = if expected.status.is_empty() { "500" } else { expected.status };
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{kind}: {response}");
        let changes = server.changes(&before);
        let in_flight = Series::new("http_server_active_requests", &[("http_request_method", expected.method)]);
        assert_eq!(
            changes.iter().find(|(series, _)| *series == in_flight),
            None,
            "{kind}: in flight is back where it was"
        );
        expected.check(&changes);
    }
    assert_eq!(server.samples().sum("http_server_active_requests", &[]), 0.0);
}

#[tokio::test]
async fn a_client_that_disconnects_changes_exactly_its_own_series() {
    let server = Server::start().await;
    let cancelled = Expected {
        method: "GET",
        route: "/api/slow",
        status: "",
        error_type: "cancelled",
        tenant: "acme",
        outcome: "cancelled",
        received: None,
        sent: None,
        is_streamed: false,
    };
    let kinds = [
        ("/api/slow", Request::new("GET /api/slow", &["authorization: Signed acme"]), "", Expected { ..cancelled }),
        (
            "/api/events",
            Request::new("GET /api/events", &["authorization: Signed acme"]),
            "first\n",
            Expected { route: "/api/events", status: "200", sent: Some(6.0), is_streamed: true, ..cancelled },
        ),
    ];
    for (route, request, read, expected) in kinds {
        let before = server.samples();
        let mut stream = server.connect().await;
        stream.write_all(request.text("keep-alive").as_bytes()).await.unwrap();
        server.until(|samples| samples.sum("http_server_active_requests", &[]) == 1.0).await;
        let mut response = Vec::new();
        while !String::from_utf8_lossy(&response).contains(read) {
            response.push(stream.read_u8().await.unwrap());
        }
        // In flight is all there is to see of it so far, and that the head of a stream has come.
        let in_flight = Series::new("http_server_active_requests", &[("http_request_method", "GET")]);
        let mut changes = server.changes(&before);
        changes.retain(|(series, _)| !series.name.starts_with("saas_http_server_time_to_head_seconds"));
        assert_eq!(changes, [(in_flight, 1.0)], "{route}");

        drop(stream);
        server.until(|samples| samples.sum("http_server_active_requests", &[]) == 0.0).await;
        expected.check(&server.changes(&before));
    }
}

#[tokio::test]
async fn probes_and_refused_scrapes_change_nothing() {
    let server = Server::start().await;
    let before = server.samples();
    for (path, status) in [("GET /livez", 200), ("GET /readyz", 200), ("GET /metrics", 403)] {
        let response = server.exchange(&Request::new(path, &["authorization: Signed acme"])).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    }
    assert_eq!(server.changes(&before), []);
}
