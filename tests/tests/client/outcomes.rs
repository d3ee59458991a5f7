//! How failures are told apart, by hyper's client and by reqwest.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::body::{Body, Bytes};
use axum::http::Extensions;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use monitoring_tests::{Fault, Proxy};
use rcgen::{CertificateParams, KeyPair};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tower::{Layer, Service, ServiceExt};

use crate::peer::{Peer, nobody, raw, says, silent};
use crate::{ends, measured, reqwest_client};

/// How a call of that URL ends: by hyper's client, by reqwest and by reqwest-middleware, which say the same.
async fn end_of(url: &str) -> String {
    let (monitoring, layer) = measured();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let roots = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(roots).https_or_http().enable_http1().wrap_connector(connector);
    let client = layer.layer(HyperClient::builder(TokioExecutor::new()).build::<_, Body>(connector));
    let request = axum::http::Request::get(url).body(Body::empty()).unwrap();
    assert!(client.oneshot(request).await.is_err(), "{url}");
    let by_hyper = ends(&monitoring).concat();
    if url.starts_with("https") {
        return by_hyper;
    }
    let by_reqwest = end_by(reqwest::Client::builder(), url).await;
    assert_eq!(by_reqwest, by_hyper, "by reqwest and by hyper");
    by_hyper
}

/// The same by reqwest, with the options that it has.
async fn end_by(options: reqwest::ClientBuilder, url: &str) -> String {
    let client = options.no_proxy().build().unwrap();
    let (monitoring, layer) = measured();
    let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
    assert!(layer.layer(client.clone()).oneshot(request).await.is_err(), "{url}");
    let by_reqwest = ends(&monitoring).concat();

    let (monitoring, layer) = measured();
    let client = ClientBuilder::new(client).with(layer.into_middleware()).with(Wrap).build();
    assert!(client.get(url).send().await.is_err(), "{url}");
    assert_eq!(ends(&monitoring).concat(), by_reqwest, "by reqwest-middleware and by reqwest");
    by_reqwest
}

/// A middleware that gives its own error, which comes from that of the client.
struct Wrap;

#[derive(Debug)]
struct Wrapped(reqwest_middleware::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("failed in the end")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[async_trait::async_trait]
impl Middleware for Wrap {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let result = next.run(request, extensions).await;
        result.map_err(|error| reqwest_middleware::Error::middleware(Wrapped(error)))
    }
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}/")
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved() {
    assert_eq!(end_of("http://nowhere.invalid/").await, "- dns");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let (_port, address) = nobody();
    assert_eq!(end_of(&http(address)).await, "- connect");
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer() {
    assert_eq!(end_of(&http(raw(async |stream| drop(stream)).await)).await, "- connection_lost");
}

#[tokio::test]
async fn a_server_that_is_cut_off() {
    let peer = Peer::start().await;
    let proxy = Proxy::to(peer.address).unwrap();
    // Once for each of the clients.
    for _ in 0..3 {
        proxy.when_sent(b"GET", Fault::CutAfter);
    }
    assert_eq!(end_of(&http(proxy.address())).await, "- connection_lost");
}

#[tokio::test]
async fn a_server_that_breaks_off_within_the_head() {
    assert_eq!(end_of(&http(says(b"HTTP/1.1 200 OK\r\nContent-").await)).await, "- connection_lost");
}

#[tokio::test]
async fn a_server_that_speaks_something_else() {
    assert_eq!(end_of(&http(says(b"220 mail.example ESMTP\r\n").await)).await, "- protocol");
}

#[tokio::test]
async fn a_server_without_encryption_or_with_a_strange_certificate() {
    let plain = says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(end_of(&format!("https://localhost:{}/", plain.port())).await, "- tls");

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    assert_eq!(end_of(&format!("https://localhost:{}/", address.port())).await, "- tls");
}

#[tokio::test]
async fn the_time_outs_are_told_apart() {
    let brief = Duration::from_millis(20);
    let silent = http(silent().await);
    assert_eq!(end_by(reqwest::Client::builder().timeout(brief), &silent).await, "- timeout");
    assert_eq!(end_by(reqwest::Client::builder().read_timeout(brief), &silent).await, "- timeout");

    // A listener whose queue of connections is full accepts no other one.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(connection)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(connection);
    }
    let options = reqwest::Client::builder().connect_timeout(brief);
    assert_eq!(end_by(options, &http(address)).await, "- connect_timeout");

    let (monitoring, layer) = measured();
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(brief));
    let client = layer.layer(HyperClient::builder(TokioExecutor::new()).build::<_, Body>(connector));
    let request = axum::http::Request::get(http(address)).body(Body::empty()).unwrap();
    assert!(client.oneshot(request).await.is_err());
    assert_eq!(ends(&monitoring), ["- connect_timeout"]);
}

#[tokio::test]
async fn redirects_without_end() {
    let peer = Peer::start().await;
    assert_eq!(end_by(reqwest::Client::builder(), &peer.url("/round")).await, "- redirect");
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_is_no_fault_of_the_peer() {
    let peer = Peer::start().await;
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut, io::ErrorKind::Other] {
        let body = || futures_util::stream::once(async move { Err::<Bytes, _>(io::Error::from(kind)) });

        let (monitoring, layer) = measured();
        let client = layer.layer(HyperClient::builder(TokioExecutor::new()).build_http::<Body>());
        let request = axum::http::Request::post(peer.url("/")).body(Body::from_stream(body())).unwrap();
        assert!(client.oneshot(request).await.is_err());
        assert_eq!(ends(&monitoring), ["- request"], "{kind} by hyper");

        let (monitoring, layer) = measured();
        let mut request = reqwest::Request::new(reqwest::Method::POST, peer.url("/").parse().unwrap());
        *request.body_mut() = Some(reqwest::Body::wrap_stream(body()));
        assert!(layer.layer(reqwest_client()).oneshot(request).await.is_err());
        assert_eq!(ends(&monitoring), ["- request"], "{kind} by reqwest");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_after_its_head_has_been_one() {
    let address = says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let (monitoring, layer) = measured();
    let request = reqwest::Request::new(reqwest::Method::GET, http(address).parse().unwrap());
    let response = layer.layer(reqwest_client()).oneshot(request).await.unwrap();
    assert!(response.bytes().await.is_err());
    assert_eq!(ends(&monitoring), ["200 -"]);
}

#[tokio::test]
async fn a_stream_of_http_2_that_is_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let fails = hyper::service::service_fn(async |_| Err::<axum::http::Response<Body>, _>("reset"));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), fails));
        }
    });
    let (monitoring, layer) = measured();
    let mut client = layer.layer(HyperClient::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>());
    let request = || axum::http::Request::get(http(address)).body(Body::empty()).unwrap();
    assert!(client.call(request()).await.is_err());
    assert_eq!(ends(&monitoring), ["- connection_lost"]);

    let proxy = Proxy::to(address).unwrap();
    proxy.when_sent(b"PRI * HTTP/2.0", Fault::CutAfter);
    let request = axum::http::Request::get(http(proxy.address())).body(Body::empty()).unwrap();
    assert!(client.call(request).await.is_err());
    assert_eq!(ends(&monitoring), ["- connection_lost", "- connection_lost"]);
}
