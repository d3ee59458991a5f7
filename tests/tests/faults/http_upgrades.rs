//! D4: connections that stay, and what of them is latency.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt, stream};
use hyper_util::rt::TokioIo;
use monitoring_axum::UpgradedConnection;
use monitoring_core::{Monitoring, Tenant};
use monitoring_tests::Proxy;
use monitoring_tests::exposition::Samples;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite};

use crate::http::{Watched, ask, serve};

/// The connections that are open, and those that have ended, of that protocol.
fn connections(samples: &Samples, protocol: &str) -> (f64, f64) {
    let labels = [("protocol", protocol)];
    let open = samples.sum("saas_http_upgraded_connections", &labels);
    (open, samples.sum("saas_http_upgraded_connection_duration_seconds_count", &labels))
}

/// Answers each message with the tenant whose work that is; ends when the client says so.
async fn tell_the_tenant(mut socket: WebSocket, monitoring: Monitoring) {
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        assert_ne!(text.as_str(), "panic", "the client says so");
        let tenant = monitoring.tenants().id(Tenant::current()).to_owned();
        if socket.send(Message::Text(tenant.into())).await.is_err() {
            break;
        }
    }
}

fn chat(watched: &Watched) -> Router {
    let chat = |upgrade: WebSocketUpgrade, connection: UpgradedConnection, monitoring: State<Monitoring>| async move {
        upgrade.on_upgrade(move |socket| connection.run(tell_the_tenant(socket, monitoring.0)))
    };
    Router::new().route("/{tenant}/chat", get(chat)).with_state(watched.monitoring.clone()).layer(watched.layer())
}

#[tokio::test]
async fn d4_a_websocket_is_no_long_request_but_an_open_connection_of_its_tenant() {
    let watched = Watched::new();
    let proxy = Proxy::to(serve(chat(&watched)).await).unwrap();
    for (ended, how) in ["closed", "panics", "reset"].into_iter().enumerate() {
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut socket, response) = client_async("ws://localhost/acme/chat", stream).await.unwrap();
        assert_eq!(response.status(), 101);
        // The request ends with the head of its response.
        assert_eq!(watched.recorded(ended + 1).await, vec!["GET /{tenant}/chat 101"; ended + 1]);
        watched.until(|samples| connections(samples, "websocket") == (1.0, ended as f64)).await;

        socket.send(tungstenite::Message::text("who?")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), "acme");
        match how {
            "closed" => socket.close(None).await.unwrap(),
            "panics" => socket.send(tungstenite::Message::text("panic")).await.unwrap(),
            _ => proxy.cut(),
        }
        watched.until(|samples| connections(samples, "websocket") == (0.0, ended as f64 + 1.0)).await;
    }
    let requests = watched.samples();
    assert_eq!(requests.sum("saas_tenant_requests_total", &[("tenant", "acme"), ("outcome", "ok")]), 3.0);
}

#[tokio::test]
async fn d4_an_upgrade_that_is_refused_opens_no_connection() {
    let watched = Watched::new();
    ask(serve(chat(&watched)).await, "GET /acme/chat", "HTTP/1.1 400").await;
    assert_eq!(watched.recorded(1).await, ["GET /{tenant}/chat 400"]);
    assert_eq!(connections(&watched.samples(), "websocket"), (0.0, 0.0));
}

#[tokio::test]
async fn d4_an_event_stream_is_in_flight_until_its_client_goes_away() {
    let watched = Watched::new();
    let events = || {
        let first = stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]);
        std::future::ready(Sse::new(first.chain(stream::pending())))
    };
    let app = Router::new().route("/{tenant}/events", get(events)).layer(watched.layer());
    let proxy = Proxy::to(serve(app).await).unwrap();
    let _stream = ask(proxy.address(), "GET /acme/events", "data: first\n\n").await;
    let samples = watched.samples();
    let route = [("http_route", "/{tenant}/events")];
    assert_eq!(samples.sum("saas_http_server_time_to_head_seconds_count", &route), 1.0, "that is its latency");
    assert_eq!((watched.in_flight(), watched.requests().len()), (1.0, 0));
    proxy.cut();
    assert_eq!(watched.recorded(1).await, ["GET /{tenant}/events 200 cancelled"]);
    assert_eq!(watched.samples().sum("http_server_response_body_size_bytes_sum", &[]), "data: first\n\n".len() as f64);
}

/// Echoes what comes through the tunnel.
async fn tunnel(mut request: Request) -> Response {
    let connection = UpgradedConnection::of(&request);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
            let _ = connection.run(tokio::io::copy(&mut reader, &mut writer)).await;
        }
    });
    Response::new(axum::body::Body::empty())
}

#[tokio::test]
async fn d4_a_tunnel_is_an_open_connection_after_its_connect() {
    let watched = Watched::new();
    let app = Router::new().fallback(tunnel).layer(watched.layer());
    let mut stream = ask(serve(app).await, "CONNECT database.internal:5432", "\r\n\r\n").await;
    assert_eq!(watched.recorded(1).await, ["CONNECT unmatched 200"]);
    stream.write_all(b"ping").await.unwrap();
    let mut echoed = [0; 4];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"ping");
    assert_eq!(connections(&watched.samples(), "connect"), (1.0, 0.0));
    drop(stream);
    watched.until(|samples| connections(samples, "connect") == (0.0, 1.0)).await;
}

#[tokio::test]
async fn d4_a_connection_that_no_layer_measures_is_only_talked_on() {
    let watched = Watched::new();
    let app = Router::new().fallback(tunnel);
    let mut stream = ask(serve(app).await, "CONNECT database.internal:5432", "\r\n\r\n").await;
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'p');
    assert_eq!(connections(&watched.samples(), "connect"), (0.0, 0.0));
}
