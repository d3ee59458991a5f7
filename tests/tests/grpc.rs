//! gRPC calls, by a real client and server: how a call went is in its status, not in that of HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderName, Request as HttpRequest};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use monitoring_axum::{MonitoringLayer, RequestHead, VerifiedClaim};
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::exposition::Samples;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};

const METHOD: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// Answers with the code that the call asks for; hangs where there is none.
struct Answering;

#[tonic::async_trait]
impl MetricsService for Answering {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let code = request.metadata().get("x-code").and_then(|code| code.to_str().ok()?.parse().ok());
        match code {
            Some(0) => Ok(Response::new(ExportMetricsServiceResponse::default())),
            Some(code) => Err(Status::new(Code::from_i32(code), "as asked")),
            None => pending().await,
        }
    }
}

struct Watched {
    monitoring: Monitoring,
}

impl Watched {
    fn new() -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
        Self { monitoring }
    }

    fn layer(&self) -> MonitoringLayer {
        let token = VerifiedClaim::new(|request: &RequestHead<'_>| {
            request.headers().get("x-verified")?.to_str().ok().map(str::to_owned)
        });
        monitoring_axum::layer().monitoring(&self.monitoring).unwrap().grpc_methods([METHOD]).tenant(token)
    }

    fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// The calls recorded, as `method code error_type`, once for each.
    fn calls(&self) -> Vec<String> {
        let samples = self.samples();
        let mut found = Vec::new();
        for (series, count) in
            samples.iter().filter(|(series, _)| series.name == "rpc_server_call_duration_seconds_count")
        {
            assert_eq!(series.labels.get("rpc_system_name").map(String::as_str), Some("grpc"));
            let labels = ["rpc_method", "rpc_response_status_code", "error_type"];
            let texts: Vec<_> = labels.iter().filter_map(|label| series.labels.get(*label)).cloned().collect();
            found.extend(std::iter::repeat_n(texts.join(" "), count as usize));
        }
        found.sort();
        found
    }

    fn outcomes(&self, outcome: &str) -> f64 {
        self.samples().sum("saas_tenant_requests_total", &[("tenant", "acme"), ("outcome", outcome)])
    }

    async fn until(&self, reached: impl Fn(&Samples) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(&self.samples()) {
            assert!(Instant::now() < deadline, "not within 20 seconds:\n{}", self.monitoring.render());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until so many calls are recorded.
    async fn recorded(&self, calls: usize) -> Vec<String> {
        self.until(|samples| samples.sum("rpc_server_call_duration_seconds_count", &[]) >= calls as f64).await;
        self.calls()
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The service in a server of tonic's own, where no route is matched.
async fn in_tonic(watched: &Watched) -> SocketAddr {
    let (listener, address) = listener().await;
    let server = Server::builder().layer(watched.layer()).add_service(MetricsServiceServer::new(Answering));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

async fn in_axum(app: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn client(address: SocketAddr) -> MetricsServiceClient<Channel> {
    MetricsServiceClient::connect(format!("http://{address}")).await.unwrap()
}

/// A call that asks for that code, or to be kept waiting.
fn call(code: Option<i32>) -> Request<ExportMetricsServiceRequest> {
    let mut request = Request::new(ExportMetricsServiceRequest::default());
    if let Some(code) = code {
        request.metadata_mut().insert("x-code", code.into());
    }
    request.metadata_mut().insert("x-verified", "acme".parse().unwrap());
    request
}

/// A gRPC request written by hand.
async fn send_raw(address: SocketAddr, path: &str) {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = HttpRequest::post(format!("http://localhost{path}")).header("content-type", "application/grpc+proto");
    let request = request.body(Full::<axum::body::Bytes>::default()).unwrap();
    client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
}

#[tokio::test]
async fn the_outcome_of_a_call_is_that_of_its_status() {
    let routes = |watched: &Watched| {
        Routes::new(MetricsServiceServer::new(Answering)).prepare().into_axum_router().layer(watched.layer())
    };
    for is_in_axum in [true, false] {
        let watched = Watched::new();
        let address = if is_in_axum { in_axum(routes(&watched)).await } else { in_tonic(&watched).await };
        let mut client = client(address).await;
        client.export(call(Some(0))).await.unwrap();
        assert_eq!(watched.recorded(1).await, [format!("{METHOD} OK")]);
        for code in [5, 13] {
            assert_eq!(client.export(call(Some(code))).await.unwrap_err().code(), Code::from_i32(code));
        }
        let calls = [format!("{METHOD} INTERNAL INTERNAL"), format!("{METHOD} NOT_FOUND"), format!("{METHOD} OK")];
        assert_eq!(watched.recorded(3).await, calls);
        assert_eq!(["ok", "client_error", "server_error"].map(|outcome| watched.outcomes(outcome)), [1.0; 3]);

        let samples = watched.samples();
        let service = "/opentelemetry.proto.collector.metrics.v1.MetricsService/{*rest}";
        let route = ("http_route", if is_in_axum { service } else { "unmatched" });
        let labels = [route, ("http_response_status_code", "200"), ("error_type", "INTERNAL")];
        assert_eq!(
            samples.value(
                "http_server_request_duration_seconds_count",
                &[&[("http_request_method", "POST")], &labels[..]].concat()
            ),
            Some(1.0)
        );
        assert_eq!(samples.sum("http_server_active_requests", &[]), 0.0);
    }
}

#[tokio::test]
async fn a_call_that_its_client_gives_up_is_cancelled() {
    let watched = Watched::new();
    let mut client = client(in_tonic(&watched).await).await;
    let waiting = tokio::spawn(async move { client.export(call(None)).await });
    watched.until(|samples| samples.sum("http_server_active_requests", &[]) == 1.0).await;
    waiting.abort();
    assert_eq!(watched.recorded(1).await, [format!("{METHOD} cancelled")]);
    assert_eq!(watched.outcomes("cancelled"), 1.0);
}

#[tokio::test]
async fn a_method_that_nobody_has_named_has_no_name() {
    let watched = Watched::new();
    let address = in_tonic(&watched).await;
    for path in ["/evil.Service/Method1", "/evil.Service/Method2"] {
        send_raw(address, path).await;
    }
    assert_eq!(watched.recorded(2).await, ["_OTHER UNIMPLEMENTED UNIMPLEMENTED"; 2]);
    assert!(!watched.monitoring.render().contains("evil"));
}

#[tokio::test]
async fn a_response_without_a_status_is_incomplete_and_a_route_names_its_method() {
    let watched = Watched::new();
    let grpc = [(HeaderName::from_static("content-type"), "application/grpc")];
    let app = Router::new()
        .route("/acme.Reports/List", post(move || std::future::ready((grpc, "a message, and no more"))))
        .layer(watched.layer());
    let address = in_axum(app).await;
    send_raw(address, "/acme.Reports/List").await;
    assert_eq!(watched.recorded(1).await, ["acme.Reports/List incomplete"]);
    // What HTTP refuses is told by its status.
    send_raw(address, "/acme.Reports/Nothing").await;
    assert_eq!(watched.recorded(2).await, ["_OTHER", "acme.Reports/List incomplete"]);
    assert_eq!(watched.samples().sum("saas_tenant_requests_total", &[("outcome", "client_error")]), 1.0);
}
