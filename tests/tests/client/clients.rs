//! The same calls by each client.

use std::time::Duration;

use axum::body::Body;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use monitoring_core::propagation::TraceContext;
use reqwest_middleware::ClientBuilder;
use tower::retry::Policy;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::peer::Peer;
use crate::{ends, measured, reqwest_client};

const PATHS: [&str; 4] = ["/", "/missing", "/broken", "/"];
const ENDS: [&str; 4] = ["200 -", "200 -", "404 404", "500 500"];

#[tokio::test]
async fn hyper() {
    let (monitoring, layer) = measured();
    let peer = Peer::start().await;
    let mut client = layer.layer(HyperClient::builder(TokioExecutor::new()).build_http::<Body>());
    for path in PATHS {
        let request = axum::http::Request::get(peer.url(path)).body(Body::empty()).unwrap();
        client.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(ends(&monitoring), ENDS);
}

#[tokio::test]
async fn reqwest_as_a_tower_service() {
    let (monitoring, layer) = measured();
    let peer = Peer::start().await;
    let mut client = ServiceBuilder::new().layer(layer).service(reqwest_client());
    for path in PATHS {
        let request = reqwest::Request::new(reqwest::Method::GET, peer.url(path).parse().unwrap());
        client.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(ends(&monitoring), ENDS);
}

#[tokio::test]
async fn reqwest_with_middleware() {
    let (monitoring, layer) = measured();
    let peer = Peer::start().await;
    let client = ClientBuilder::new(reqwest_client()).with(layer.into_middleware()).build();
    for path in PATHS {
        client.get(peer.url(path)).send().await.unwrap();
    }
    assert_eq!(ends(&monitoring), ENDS);
}

#[tokio::test]
async fn the_trace_goes_along_and_redirects_are_one_call() {
    let (monitoring, layer) = measured();
    let peer = Peer::start().await;
    let client = ClientBuilder::new(reqwest_client()).with(layer.into_middleware()).build();
    let trace = TraceContext::new_root();
    trace
        .scope(async {
            client.get(peer.url("/")).send().await.unwrap();
            assert!(client.get(peer.url("/round")).send().await.is_err());
        })
        .await;
    client.get(peer.url("/")).send().await.unwrap();
    assert_eq!(ends(&monitoring), ["- redirect", "200 -", "200 -"]);
    let seen = peer.traceparents.lock().unwrap();
    let id = trace.trace_id().to_string();
    assert!(seen.first().unwrap().as_ref().unwrap().contains(&id), "{seen:?}");
    assert_eq!(seen.last().unwrap(), &None, "without a trace none is made up");
}

/// Tries again what was answered 503.
#[derive(Clone)]
struct Again;

impl<E> Policy<reqwest::Request, reqwest::Response, E> for Again {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut reqwest::Request, result: &mut Result<reqwest::Response, E>) -> Option<Self::Future> {
        let is_unavailable = result.as_ref().is_ok_and(|response| response.status() == 503);
        is_unavailable.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

#[tokio::test]
async fn inside_of_retries_attempts_are_counted_and_outside_calls() {
    let (inside, attempts) = measured();
    let (outside, calls) = measured();
    let peer = Peer::start().await;
    let mut client = ServiceBuilder::new()
        .layer(calls)
        .layer(tower::retry::RetryLayer::new(Again))
        .layer(attempts)
        .service(reqwest_client());
    let request = reqwest::Request::new(reqwest::Method::GET, peer.url("/third-time").parse().unwrap());
    let answer = client.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(ends(&inside), ["200 -", "503 503", "503 503"]);
    assert_eq!(ends(&outside), ["200 -"]);
}

#[tokio::test]
async fn a_time_out_of_tower_within_the_layer_is_one_and_outside_of_it_the_call_is_cancelled() {
    let address = crate::peer::silent().await;
    let request = || reqwest::Request::new(reqwest::Method::GET, format!("http://{address}/").parse().unwrap());
    let brief = Duration::from_millis(20);

    let (monitoring, layer) = measured();
    let client = ServiceBuilder::new().layer(layer).timeout(brief).service(reqwest_client());
    assert!(client.oneshot(request()).await.is_err());
    assert_eq!(ends(&monitoring), ["- timeout"]);

    let (monitoring, layer) = measured();
    let client = ServiceBuilder::new().timeout(brief).layer(layer).service(reqwest_client());
    assert!(client.oneshot(request()).await.is_err());
    assert_eq!(ends(&monitoring), ["- cancelled"]);
}
