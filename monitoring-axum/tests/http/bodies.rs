//! Bodies pass unchanged, and their sizes are true.

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::script::{Hints, ScriptedBody, Step, data};
use crate::{Bench, send};

/// All that can be seen of a body from outside, poll by poll.
fn observe(body: impl http_body::Body<Data = Bytes, Error: ToString>) -> Vec<String> {
    let mut body = pin!(body);
    let mut task = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    // A little beyond the end, where a body must keep saying that it has ended.
    for _ in 0..12 {
        seen.push(format!("{} {:?}", body.is_end_stream(), body.size_hint()));
        seen.push(match body.as_mut().poll_frame(&mut task) {
            Poll::Pending => "pending".to_owned(),
            Poll::Ready(None) => "end".to_owned(),
            Poll::Ready(Some(Ok(frame))) => format!("{frame:?}"),
            Poll::Ready(Some(Err(error))) => error.to_string(),
        });
    }
    seen
}

/// What can be seen of the body that the service answers with.
fn answer<S, B>(mut service: S) -> Vec<String>
where
    S: Service<Request, Response = Response<B>, Error: Debug>,
    B: http_body::Body<Data = Bytes, Error: ToString>,
{
    let mut task = Context::from_waker(Waker::noop());
    match pin!(service.call(Request::default())).poll(&mut task) {
        Poll::Ready(response) => observe(response.unwrap().into_body()),
        Poll::Pending => panic!("the service does not wait"),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let trailers = prop::collection::vec(("[a-z]{1,8}", "[ -~]{0,12}"), 0..3).prop_map(|pairs| {
        let pair = |(name, value): (String, String)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        Step::Trailers(pairs.into_iter().map(pair).collect::<HeaderMap>())
    });
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| Step::Data(bytes.into())),
        2 => Just(Step::Wait),
        1 => trailers,
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #[test]
    fn a_response_body_passes_unchanged(
        steps in prop::collection::vec(step(), 0..8),
        hints in prop_oneof![Just(Hints::None), Just(Hints::Size), Just(Hints::All)],
        twice: bool,
    ) {
        let bench = Bench::new();
        let body = ScriptedBody::new(steps, hints);
        let sent = body.clone();
        let inner = service_fn(move |_: Request| std::future::ready(Ok::<_, ()>(Response::new(sent.clone()))));
        let seen = if twice { answer(bench.layer().layer(bench.layer().layer(inner))) } else { answer(bench.layer().layer(inner)) };
        prop_assert_eq!(seen, observe(body));
        prop_assert_eq!((bench.requests().len(), bench.in_flight()), (1, 0.0));
    }

    #[test]
    fn a_request_body_passes_unchanged(
        steps in prop::collection::vec(step(), 0..8),
        hints in prop_oneof![Just(Hints::None), Just(Hints::Size), Just(Hints::All)],
    ) {
        let bench = Bench::new();
        let body = ScriptedBody::new(steps, hints);
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&seen);
        let mut service = bench.layer().layer(service_fn(move |request: Request| {
            *sink.lock().unwrap() = observe(request.into_body());
            std::future::ready(Ok::<_, ()>(Response::new(Body::empty())))
        }));
        let mut task = Context::from_waker(Waker::noop());
        prop_assert!(pin!(service.call(Request::new(Body::new(body.clone())))).poll(&mut task).is_ready());
        let expected = observe(Body::new(body));
        prop_assert_eq!(seen.lock().unwrap().clone(), expected);
        prop_assert_eq!(bench.samples().sum("http_server_request_body_size_bytes_count", &[]), 1.0);
    }
}

fn reading(bench: &Bench) -> Router {
    Router::new().route("/read", post(|body: String| async move { body.len().to_string() })).layer(bench.layer())
}

fn upload(path: &str, body: Body) -> Request {
    Request::post(path).body(body).unwrap()
}

#[tokio::test]
async fn a_request_body_of_known_length_is_recorded_by_its_length() {
    let bench = Bench::new();
    send(&reading(&bench), upload("/read", "hello, world".into())).await;
    let samples = bench.samples();
    assert_eq!(bench.body_bytes("request"), 12.0);
    assert_eq!(samples.value("http_server_request_body_size_bytes_count", &[("http_route", "/read")]), Some(1.0));
}

#[tokio::test]
async fn a_request_body_of_unknown_length_is_counted_as_it_is_read() {
    let bench = Bench::new();
    let steps = [data("hello, "), Step::Wait, data("world")];
    let body = || Body::new(ScriptedBody::new(steps.clone(), Hints::None));
    assert_eq!(send(&reading(&bench), upload("/read", body())).await, (200, "12".to_owned()));
    let samples = bench.samples();
    assert_eq!(samples.value("http_server_request_body_size_bytes_sum", &[("http_route", "/read")]), Some(12.0));
    assert_eq!(samples.value("http_server_request_body_size_bytes_count", &[("http_route", "/read")]), Some(1.0));

    // Nobody reads what is sent to no route.
    send(&reading(&bench), upload("/nothing", body())).await;
    let samples = bench.samples();
    assert_eq!(samples.value("http_server_request_body_size_bytes_sum", &[("http_route", "unmatched")]), Some(0.0));
    assert_eq!(samples.value("http_server_request_body_size_bytes_count", &[("http_route", "unmatched")]), Some(1.0));
}

/// A body that declares a length, and sends nothing.
struct Boaster(u64);

impl http_body::Body for Boaster {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _task: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn a_declared_length_beyond_a_mebibyte_is_not_believed_but_counted() {
    const MEBIBYTE: usize = 1 << 20;
    for length in [MEBIBYTE as u64 + 1, 1 << 40, u64::MAX] {
        let bench = Bench::new();
        send(&reading(&bench), upload("/nothing", Body::new(Boaster(length)))).await;
        assert_eq!(bench.body_bytes("request"), 0.0);
        assert_eq!(bench.samples().sum("http_server_request_body_size_bytes_count", &[]), 1.0);
    }
    for length in [MEBIBYTE, MEBIBYTE + 1] {
        let bench = Bench::new();
        send(&reading(&bench), upload("/read", vec![b'a'; length].into())).await;
        assert_eq!(bench.body_bytes("request"), length as f64);
    }
}

#[tokio::test]
async fn the_declared_length_of_a_request_that_was_not_answered_completely_is_not_recorded() {
    let bench = Bench::new();
    let app = Router::new()
        .route("/slow", post(std::future::pending::<&str>))
        .route("/broken", post(|| std::future::ready(Body::new(ScriptedBody::new([Step::Fail], Hints::None)))))
        .layer(bench.layer());
    let boast = |path| upload(path, Body::new(Boaster(1_000_000)));
    {
        let mut response = pin!(app.clone().oneshot(boast("/slow")));
        assert!(response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let broken = app.oneshot(boast("/broken")).await.unwrap().into_body();
    axum::body::to_bytes(broken, 100).await.unwrap_err();
    assert_eq!(bench.requests(), ["POST /broken 200 body", "POST /slow cancelled"]);
    assert_eq!(bench.samples().sum("http_server_request_body_size_bytes_count", &[]), 0.0);
}
