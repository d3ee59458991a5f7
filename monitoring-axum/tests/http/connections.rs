//! Real clients on real connections: what hyper does with a response, and with one that nobody waits for.

use std::future::{pending, ready};
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get as on_get, post};
use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{Hints, ScriptedBody, Step, data};
use crate::{Bench, until};

/// Serves the application on a free port until the test ends.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Writes a request and reads until `until` was read.
async fn write_and_read(address: SocketAddr, request: &str, until: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(until) {
        read.push(stream.read_u8().await.unwrap());
    }
    stream
}

/// A body that hyper is told only so much about.
fn scripted(steps: &[Step], hints: Hints) -> impl Fn() -> std::future::Ready<Response> + Clone + use<> {
    let body = ScriptedBody::new(steps.iter().cloned(), hints);
    move || ready(Body::new(body.clone()).into_response())
}

#[tokio::test]
async fn each_kind_of_response_is_complete_on_a_real_connection() {
    let bench = Bench::new();
    let steps = [data("hello, "), Step::Wait, data("world")];
    let app = Router::new()
        .route("/text", on_get("hello"))
        .route("/empty", on_get(()))
        .route("/none", on_get(StatusCode::NO_CONTENT))
        .route("/unchanged", on_get(StatusCode::NOT_MODIFIED))
        .route("/stream", on_get(scripted(&steps, Hints::None)))
        .route("/sized", on_get(scripted(&steps, Hints::Size)))
        .route("/ending", on_get(scripted(&steps, Hints::All)))
        .route("/upload", post(|body: Bytes| async move { body }))
        .layer(bench.layer());
    let address = serve(app).await;

    // One connection for all of them.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut sent = 0;
    for (request, answer, recorded) in [
        ("GET /text HTTP/1.1\r\nhost: a\r\n\r\n", "hello", "GET /text 200"),
        ("HEAD /text HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n\r\n", "HEAD /text 200"),
        ("GET /empty HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n\r\n", "GET /empty 200"),
        ("GET /none HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n\r\n", "GET /none 204"),
        ("GET /unchanged HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n\r\n", "GET /unchanged 304"),
        ("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n0\r\n\r\n", "GET /stream 200"),
        ("GET /sized HTTP/1.1\r\nhost: a\r\n\r\n", "world", "GET /sized 200"),
        ("HEAD /sized HTTP/1.1\r\nhost: a\r\n\r\n", "\r\n\r\n", "HEAD /sized 200"),
        ("GET /ending HTTP/1.1\r\nhost: a\r\n\r\n", "world", "GET /ending 200"),
        ("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi", "\r\n\r\nhi", "POST /upload 200"),
        (
            "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n",
            "\r\n\r\nho",
            "POST /upload 200",
        ),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(answer) {
            read.push(stream.read_u8().await.unwrap());
        }
        sent += 1;
        // It is recorded before the client can have read the end of it.
        let requests = bench.requests();
        assert_eq!(requests.len(), sent, "{request}: {requests:?}");
        assert!(requests.iter().any(|request| request == recorded), "{recorded}: {requests:?}");
    }
    assert_eq!(bench.in_flight(), 0.0);
    assert_eq!(bench.body_bytes("request"), 4.0);
    assert_eq!(bench.body_bytes("response"), (5 + 3 * 12 + 2 + 2) as f64);
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_response_is_counted_as_cancelled() {
    let bench = Bench::new();
    let app = Router::new().route("/slow", on_get(pending::<&str>)).layer(bench.layer());
    let address = serve(app).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until(|| bench.in_flight() == 1.0).await;
    drop(stream);
    assert_eq!(bench.recorded(1).await, ["GET /slow cancelled"]);
    assert_eq!(bench.in_flight(), 0.0);
}

#[tokio::test]
async fn a_client_that_goes_away_amid_the_response_is_counted_as_cancelled() {
    let bench = Bench::new();
    let app = Router::new()
        .route("/events", on_get(scripted(&[data("first"), Step::Hang], Hints::None)))
        .layer(bench.layer());
    let address = serve(app).await;
    let stream = write_and_read(address, "GET /events HTTP/1.1\r\nhost: a\r\n\r\n", "first").await;
    assert_eq!(bench.in_flight(), 1.0);
    drop(stream);
    assert_eq!(bench.recorded(1).await, ["GET /events 200 cancelled"]);
    assert_eq!((bench.in_flight(), bench.body_bytes("response")), (0.0, 5.0));
}

#[tokio::test]
async fn a_handler_that_panics_on_a_real_connection_is_counted() {
    let bench = Bench::new();
    async fn fails() -> &'static str {
        panic!("the handler fails")
    }
    let address = serve(Router::new().route("/", on_get(fails)).layer(bench.layer())).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    assert_eq!(bench.recorded(1).await, ["GET / panic"]);
    assert_eq!(bench.in_flight(), 0.0);
}

#[tokio::test]
async fn an_upgrade_ends_with_the_response_head() {
    let bench = Bench::new();
    let upgrade = |mut request: Request| async move {
        let upgrading = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = hyper_util::rt::TokioIo::new(upgrading.await.unwrap());
            let byte = io.read_u8().await.unwrap();
            io.write_all(&[byte, b'!']).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "echo"), ("connection", "upgrade")])
    };
    let address = serve(Router::new().route("/echo", any(upgrade)).layer(bench.layer())).await;
    let request = "GET /echo HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
    let mut stream = write_and_read(address, request, "\r\n\r\n").await;
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET /echo 101".to_owned()], 0.0));
    stream.write_all(b"a").await.unwrap();
    assert_eq!((stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()), (b'a', b'!'));
}
