//! Who gets the trace when a trusted peer points to somebody else.

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::get;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use monitoring_core::propagation::TraceContext;
use reqwest::redirect::Policy;
use tokio::net::TcpListener;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;

use crate::{ends, measured};

/// The URL of a trusted peer that points to one that is not trusted, which answers with the `traceparent` that it got.
async fn peers() -> String {
    let stranger = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let target = format!("http://{}/", stranger.local_addr().unwrap());
    let told = |headers: HeaderMap| async move {
        headers.get("traceparent").map_or("nothing".to_owned(), |value| value.to_str().unwrap().to_owned())
    };
    tokio::spawn(axum::serve(stranger, Router::new().route("/", get(told))).into_future());

    let trusted = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", trusted.local_addr().unwrap());
    let redirect = move || std::future::ready(Redirect::temporary(&target));
    tokio::spawn(axum::serve(trusted, Router::new().route("/", get(redirect))).into_future());
    url
}

/// What the other peer gets, when reqwest follows redirects by that policy; or the status where it does not.
async fn by_reqwest(policy: Policy) -> String {
    let (monitoring, layer) = measured();
    let client = layer.layer(reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap());
    let request = reqwest::Request::new(reqwest::Method::GET, peers().await.parse().unwrap());
    let trace = TraceContext::new_root();
    let response = trace.scope(client.oneshot(request)).await.unwrap();
    assert_eq!(ends(&monitoring).len(), 1, "what the client follows by itself is one call");
    if response.status().is_redirection() {
        return response.status().as_str().to_owned();
    }
    let got = response.text().await.unwrap();
    if got.contains(&trace.trace_id().to_string()) { "the trace".to_owned() } else { got }
}

#[tokio::test]
async fn reqwest_takes_the_trace_along_unless_its_policy_stays_with_the_host() {
    assert_eq!(by_reqwest(Policy::default()).await, "the trace", "the guide need not warn any more");
    assert_eq!(by_reqwest(Policy::none()).await, "307");
    let same_host = Policy::custom(|attempt| {
        let from = attempt.previous().last();
        let stays = from.is_some_and(|from| from.origin() == attempt.url().origin());
        if stays && attempt.previous().len() <= 10 { attempt.follow() } else { attempt.stop() }
    });
    assert_eq!(by_reqwest(same_host).await, "307");
}

#[tokio::test]
async fn redirects_that_are_followed_outside_of_the_layer_are_calls_of_their_own_without_the_trace_for_strangers() {
    let (monitoring, layer) = measured();
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer)
        .service(HyperClient::builder(TokioExecutor::new()).build_http::<Body>());
    let request = axum::http::Request::get(peers().await).body(Body::empty()).unwrap();
    let response = TraceContext::new_root().scope(client.oneshot(request)).await.unwrap();
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1_000).await.unwrap();
    assert_eq!(body, "nothing");
    assert_eq!(ends(&monitoring), ["200 -", "307 -"]);
}
