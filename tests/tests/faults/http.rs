//! D1-D3, D5-D7: requests that are dropped, panic, stream and nest, on real connections.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use monitoring_axum::{MonitoringLayer, PathParameter};
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::exposition::Samples;
use monitoring_tests::{Proxy, in_own_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

/// A monitoring, and the application that it watches.
pub(crate) struct Watched {
    pub(crate) monitoring: Monitoring,
}

impl Watched {
    pub(crate) fn new() -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
        Self { monitoring }
    }

    pub(crate) fn layer(&self) -> MonitoringLayer {
        monitoring_axum::layer().monitoring(&self.monitoring).unwrap().tenant(PathParameter::new("tenant"))
    }

    pub(crate) fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    /// The requests recorded so far, as `METHOD route status error_type`, once for each.
    pub(crate) fn requests(&self) -> Vec<String> {
        let labels = ["http_request_method", "http_route", "http_response_status_code", "error_type"];
        let mut found = Vec::new();
        for (series, count) in self.samples().iter() {
            if series.name == "http_server_request_duration_seconds_count" {
                let texts: Vec<_> = labels.iter().filter_map(|label| series.labels.get(*label)).cloned().collect();
                found.extend(std::iter::repeat_n(texts.join(" "), count as usize));
            }
        }
        found.sort();
        found
    }

    pub(crate) fn in_flight(&self) -> f64 {
        self.samples().sum("http_server_active_requests", &[])
    }

    fn outcomes(&self, outcome: &str) -> f64 {
        self.samples().sum("saas_tenant_requests_total", &[("tenant", "acme"), ("outcome", outcome)])
    }

    pub(crate) async fn until(&self, reached: impl Fn(&Samples) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(&self.samples()) {
            assert!(Instant::now() < deadline, "not within 20 seconds:\n{}", self.monitoring.render());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until so many requests are recorded and none is in flight.
    pub(crate) async fn recorded(&self, requests: usize) -> Vec<String> {
        self.until(|samples| {
            samples.sum("http_server_request_duration_seconds_count", &[]) >= requests as f64
                && samples.sum("http_server_active_requests", &[]) == 0.0
        })
        .await;
        self.requests()
    }
}

/// Serves the application on a free port until the test ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Sends a request, and reads until `text` was read.
pub(crate) async fn ask(address: SocketAddr, request: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        read.push(stream.read_u8().await.unwrap());
    }
    stream
}

/// A client of HTTP/2.
async fn http2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    client
}

fn http2_request(path: &str) -> hyper::Request<Full<Bytes>> {
    hyper::Request::get(format!("http://localhost{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn d1_a_client_that_resets_its_connection_is_counted_as_cancelled_with_its_duration() {
    let watched = Watched::new();
    let app = Router::new().route("/{tenant}/slow", get(pending::<()>)).layer(watched.layer());
    let proxy = Proxy::to(serve(app).await).unwrap();
    let _stream = ask(proxy.address(), "GET /acme/slow", "").await;
    watched.until(|samples| samples.sum("http_server_active_requests", &[]) == 1.0).await;
    proxy.cut();
    assert_eq!(watched.recorded(1).await, ["GET /{tenant}/slow cancelled"]);
    assert_eq!(watched.outcomes("cancelled"), 1.0);
    assert!(watched.samples().sum("http_server_request_duration_seconds_sum", &[]) > 0.0);
}

#[tokio::test]
async fn d1_a_handler_that_loses_a_race_or_is_aborted_is_counted_as_cancelled() {
    let watched = Watched::new();
    let app = Router::new().route("/{tenant}/slow", get(pending::<()>)).layer(watched.layer());
    let request = || Request::get("/acme/slow").body(Body::empty()).unwrap();
    tokio::select! {
        biased;
        _ = app.clone().oneshot(request()) => panic!("it never ends"),
        () = ready(()) => {}
    }
    let task = tokio::spawn(app.oneshot(request()));
    watched.until(|samples| samples.sum("http_server_active_requests", &[]) == 1.0).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(watched.recorded(2).await, ["GET /{tenant}/slow cancelled"; 2]);
}

async fn panics() -> &'static str {
    panic!("the handler fails")
}

#[tokio::test]
async fn d2_a_panic_is_counted_once_wherever_it_is_caught() {
    let routes = || Router::new().route("/{tenant}/panics", get(panics));
    // Caught outside of the layer, inside of it, and nowhere.
    let outside = Watched::new();
    let address = serve(routes().layer(outside.layer()).layer(CatchPanicLayer::new())).await;
    ask(address, "GET /acme/panics", "HTTP/1.1 500").await;
    assert_eq!(outside.recorded(1).await, ["GET /{tenant}/panics panic"]);

    let inside = Watched::new();
    let address = serve(routes().layer(CatchPanicLayer::new()).layer(inside.layer())).await;
    ask(address, "GET /acme/panics", "HTTP/1.1 500").await;
    assert_eq!(inside.recorded(1).await, ["GET /{tenant}/panics 500 500"]);

    let nowhere = Watched::new();
    let mut stream = ask(serve(routes().layer(nowhere.layer())).await, "GET /acme/panics", "").await;
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "the panic was swallowed");
    assert_eq!(nowhere.recorded(1).await, ["GET /{tenant}/panics panic"]);

    for watched in [outside, inside, nowhere] {
        assert_eq!((watched.outcomes("server_error"), watched.in_flight()), (1.0, 0.0));
    }
}

/// Where panics abort the process there is nothing to unwind: the layer must not stand in the way.
#[test]
fn d2_a_panic_that_aborts_ends_the_process_as_without_the_layer() {
    const NAME: &str = "http::d2_a_panic_that_aborts_ends_the_process_as_without_the_layer";
    let child = || {
        // What `panic = "abort"` does, in a program that was not built so.
        std::panic::set_hook(Box::new(|_| std::process::abort()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let app = Router::new().route("/", get(panics)).layer(Watched::new().layer());
        let _ = runtime.block_on(app.oneshot(Request::<Body>::default()));
    };
    let message = *catch_unwind(|| in_own_process(NAME, child).unwrap()).unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("SIGABRT"), "{message}");
}

/// A body that sends five bytes and then fails, or hangs.
fn streamed(then_fails: bool) -> Body {
    let first = stream::iter([Ok("first")]);
    if then_fails {
        // On its own, so that the server has sent what came before.
        let fail = stream::once(async {
            tokio::task::yield_now().await;
            Err("the source fails")
        });
        Body::from_stream(first.chain(fail))
    } else {
        Body::from_stream(first.chain(stream::pending()))
    }
}

#[tokio::test]
async fn d3_a_body_that_fails_or_is_dropped_midway_is_incomplete_with_its_exact_bytes() {
    let watched = Watched::new();
    let app = Router::new()
        .route("/{tenant}/fails", get(|| ready(streamed(true))))
        .route("/{tenant}/hangs", get(|| ready(streamed(false))))
        .layer(watched.layer());
    let proxy = Proxy::to(serve(app).await).unwrap();

    let mut stream = ask(proxy.address(), "GET /acme/fails", "").await;
    let _closed = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(watched.recorded(1).await, ["GET /{tenant}/fails 200 body"]);

    let _stream = ask(proxy.address(), "GET /acme/hangs", "first").await;
    let to_head = |samples: &Samples| {
        samples.sum("saas_http_server_time_to_head_seconds_count", &[("http_route", "/{tenant}/hangs")])
    };
    assert_eq!((to_head(&watched.samples()), watched.in_flight()), (1.0, 1.0), "the head is told before the end");
    proxy.cut();
    assert_eq!(watched.recorded(2).await, ["GET /{tenant}/fails 200 body", "GET /{tenant}/hangs 200 cancelled"]);

    assert_eq!(
        (watched.outcomes("server_error"), watched.outcomes("cancelled"), watched.outcomes("ok")),
        (1.0, 1.0, 0.0)
    );
    assert_eq!(watched.samples().sum("http_server_response_body_size_bytes_sum", &[]), 10.0);
}

#[tokio::test]
async fn d5_a_request_is_counted_once_under_its_full_template_however_routers_are_put_together() {
    let watched = Watched::new();
    let inner = Router::new().route("/items/{id}", get("an item"));
    let app = Router::new()
        .nest("/{tenant}/api", inner)
        .merge(Router::new().route("/merged", get("merged")))
        .fallback(StatusCode::NOT_FOUND)
        .layer(watched.layer())
        .layer(watched.layer());
    // Around the whole application, where no route is matched yet, too.
    let app = Router::new().fallback_service(watched.layer().layer(app));
    let address = serve(app).await;
    for (request, status, recorded) in [
        ("GET /acme/api/items/7", 200, "GET /{tenant}/api/items/{id} 200"),
        ("HEAD /acme/api/items/7", 200, "HEAD /{tenant}/api/items/{id} 200"),
        ("DELETE /acme/api/items/7", 405, "_OTHER /{tenant}/api/items/{id} 405"),
        ("GET /merged", 200, "GET /merged 200"),
        ("GET /nothing/at/all", 404, "GET unmatched 404"),
    ] {
        let before = watched.requests();
        ask(address, request, &format!("HTTP/1.1 {status}")).await;
        let mut requests = watched.recorded(before.len() + 1).await;
        assert_eq!(requests.len(), before.len() + 1, "{request}");
        for counted in before {
            let place = requests.iter().position(|request| *request == counted).unwrap();
            requests.remove(place);
        }
        assert_eq!(requests, [recorded], "{request}");
    }
    assert_eq!(watched.outcomes("ok"), 2.0);
}

#[tokio::test]
async fn d6_a_service_that_is_not_ready_or_never_called_is_not_measured() {
    let watched = Watched::new();
    let (mut service, mut handle) = tower_test::mock::spawn_layer::<Request, Response, _>(watched.layer());
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.send_error("broken");
    let std::task::Poll::Ready(Err(error)) = service.poll_ready() else { panic!("the error was swallowed") };
    assert_eq!(error.to_string(), "broken");

    let clone = service.into_inner().clone();
    drop(clone);
    assert_eq!((watched.requests(), watched.in_flight()), (vec![], 0.0));
}

/// A service of hyper and tower alone, whose bodies are not axum's.
async fn without_axum(watched: &Watched) -> SocketAddr {
    let answer = |request: hyper::Request<hyper::body::Incoming>| {
        let trailers = HeaderMap::from_iter([("checksum".parse().unwrap(), "abc".parse().unwrap())]);
        let frames = match request.uri().path() {
            "/trailers" => vec![Frame::data(Bytes::from("hello")), Frame::trailers(trailers)],
            _ => vec![Frame::data(Bytes::from("hello"))],
        };
        let frames = stream::iter(frames.into_iter().map(Ok::<_, Infallible>));
        let body = match request.uri().path() {
            "/hangs" => StreamBody::new(frames.chain(stream::pending())).boxed_unsync(),
            "/full" => Full::new(Bytes::from("hello")).boxed_unsync(),
            _ => StreamBody::new(frames).boxed_unsync(),
        };
        ready(Ok::<_, Infallible>(hyper::Response::new(body)))
    };
    let layer = monitoring_axum::layer().monitoring(&watched.monitoring).unwrap();
    let service = ServiceBuilder::new().layer(layer).service(service_fn(answer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn d7_bodies_trailers_and_size_hints_pass_unchanged_over_http_2_also_without_axum() {
    let watched = Watched::new();
    let mut client = http2(without_axum(&watched).await).await;
    for (path, length, trailer) in
        [("/full", Some("5"), None), ("/streamed", None, None), ("/trailers", None, Some("abc"))]
    {
        let response = client.send_request(http2_request(path)).await.unwrap();
        let declared = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        assert_eq!(declared.as_deref(), length, "{path}");
        let collected = response.into_body().collect().await.unwrap();
        let found = collected.trailers().and_then(|trailers| trailers.get("checksum")).cloned();
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), trailer, "{path}");
        assert_eq!(collected.to_bytes(), "hello", "{path}");
    }
    assert_eq!(watched.recorded(3).await, ["GET unmatched 200"; 3]);
    assert_eq!(watched.samples().sum("http_server_response_body_size_bytes_sum", &[]), 15.0);
}

#[tokio::test]
async fn d7_a_stream_that_an_http_2_client_resets_is_cancelled_and_the_others_go_on() {
    let watched = Watched::new();
    let mut client = http2(without_axum(&watched).await).await;
    let mut hanging = client.send_request(http2_request("/hangs")).await.unwrap().into_body();
    assert_eq!(hanging.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert_eq!(watched.in_flight(), 1.0);
    drop(hanging);
    assert_eq!(watched.recorded(1).await, ["GET unmatched 200 cancelled"]);

    let response = client.send_request(http2_request("/full")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(watched.recorded(2).await, ["GET unmatched 200", "GET unmatched 200 cancelled"]);
}
