//! How each end of a request is recorded.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get as on_get};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use monitoring_axum::MonitoringLayer;
use monitoring_core::Tenant;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::script::{Hints, ScriptedBody, Step, data};
use crate::{Bench, get, head, send};

/// An application whose one route answers with that body.
fn answering(bench: &Bench, steps: &[Step], hints: Hints) -> Router {
    let body = ScriptedBody::new(steps.iter().cloned(), hints);
    let answer = move || ready(Body::new(body.clone()).into_response());
    // As for a stream, whatever the body says about its length.
    Router::new().route("/", any(answer)).layer(bench.layer().follow_all_bodies())
}

#[tokio::test]
async fn a_request_is_recorded_when_its_response_body_ends_and_not_before() {
    let bench = Bench::new();
    let app = answering(&bench, &[data("hello, "), data("world")], Hints::None);
    let mut body = head(&app, get("/")).await.into_body();
    assert_eq!((bench.requests(), bench.in_flight()), (vec![], 1.0));

    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
        assert_eq!((bench.requests(), bench.in_flight()), (vec![], 1.0));
    }
    assert!(body.frame().await.is_none());
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET / 200".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ ok default"]);
    assert_eq!(bench.body_bytes("response"), 12.0);

    drop(body);
    assert_eq!(bench.requests(), ["GET / 200"], "it is recorded once");
}

#[tokio::test]
async fn the_status_decides_on_the_outcome_of_a_complete_response() {
    for (status, outcome, error_type) in [
        (200, "ok", ""),
        (302, "ok", ""),
        (404, "client_error", ""),
        (429, "client_error", ""),
        (500, "server_error", " 500"),
        (503, "server_error", " 503"),
    ] {
        let bench = Bench::new();
        let answer = move || ready((StatusCode::from_u16(status).unwrap(), "text"));
        let app = Router::new().route("/", on_get(answer)).layer(bench.layer());
        send(&app, get("/")).await;
        assert_eq!(bench.requests(), [format!("GET / {status}{error_type}")]);
        assert_eq!(bench.tenant_requests(), [format!("__none__ {outcome} default")]);
    }
}

#[tokio::test]
async fn a_dropped_request_is_counted_as_cancelled() {
    let bench = Bench::new();
    let app = Router::new().route("/slow", on_get(pending::<&str>)).layer(bench.layer());
    {
        let mut response = pin!(app.oneshot(get("/slow")));
        let mut task = Context::from_waker(Waker::noop());
        assert!(response.as_mut().poll(&mut task).is_pending());
        assert_eq!((bench.requests(), bench.in_flight()), (vec![], 1.0));
    }
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET /slow cancelled".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ cancelled default"]);
    let samples = bench.samples();
    assert!(samples.sum("http_server_request_duration_seconds_sum", &[]) > 0.0, "its duration is kept");
    assert_eq!(samples.sum("http_server_response_body_size_bytes_count", &[]), 0.0, "there was no response");
}

#[tokio::test]
async fn a_response_that_was_never_asked_for_is_counted_as_cancelled() {
    let bench = Bench::new();
    let mut service =
        bench.layer().layer(service_fn(|_request: Request<Body>| pending::<Result<Response, Infallible>>()));
    drop(service.call(get("/")));
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET unmatched cancelled".to_owned()], 0.0));
}

#[tokio::test]
async fn a_service_that_is_made_and_never_called_counts_nothing() {
    let bench = Bench::new();
    let failing = tower::service_fn(|_request: Request<Body>| ready(Err::<Response, _>("refused")));
    let mut service = bench.layer().layer(failing);
    service.ready().await.unwrap();
    drop(service.clone());
    drop(service);
    assert_eq!((bench.requests(), bench.in_flight()), (vec![], 0.0));
}

#[tokio::test]
async fn a_body_dropped_before_its_end_is_counted_as_cancelled_with_the_bytes_it_sent() {
    let bench = Bench::new();
    let app = answering(&bench, &[data("some of it"), Step::Hang], Hints::None);
    let mut body = head(&app, get("/")).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET / 200 cancelled".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ cancelled default"]);
    assert_eq!(bench.body_bytes("response"), 10.0);
}

#[tokio::test]
async fn a_body_dropped_unread_is_counted_as_cancelled() {
    let bench = Bench::new();
    let app = answering(&bench, &[data("all of it")], Hints::All);
    drop(head(&app, get("/")).await);
    assert_eq!(bench.requests(), ["GET / 200 cancelled"]);
}

#[tokio::test]
async fn a_body_in_memory_is_complete_with_its_length_when_the_head_is_ready() {
    const LARGEST: usize = 1 << 16;
    for length in [1, LARGEST] {
        let bench = Bench::new();
        let app = Router::new().route("/", on_get(move || ready("a".repeat(length)))).layer(bench.layer());
        let response = head(&app, get("/")).await;
        assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET / 200".to_owned()], 0.0));
        assert_eq!(bench.body_bytes("response"), length as f64);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length);
        assert_eq!(bench.requests(), ["GET / 200"], "it is recorded once");
        assert_eq!(bench.samples().sum("saas_http_server_time_to_head_seconds_count", &[]), 0.0);
    }
}

#[tokio::test]
async fn a_body_is_followed_where_it_may_come_from_elsewhere() {
    let text = |length: usize| "a".repeat(length).into_response();
    let passed_on = |length: usize| ([(CONTENT_LENGTH, length.to_string())], "a".repeat(length)).into_response();
    let by_default = Bench::layer;
    let always = |bench: &Bench| bench.layer().follow_all_bodies();
    for (layer, answer, length) in [
        (by_default as fn(&Bench) -> MonitoringLayer, text as fn(usize) -> Response, (1 << 16) + 1),
        (by_default, passed_on, 10),
        (always, text, 10),
    ] {
        let bench = Bench::new();
        let app = Router::new().route("/", on_get(move || ready(answer(length)))).layer(layer(&bench));
        let body = head(&app, get("/")).await.into_body();
        assert_eq!((bench.requests(), bench.in_flight()), (vec![], 1.0), "{length}");
        let to_head = bench.samples().sum("saas_http_server_time_to_head_seconds_count", &[("http_route", "/")]);
        assert_eq!(to_head, 1.0, "the head has come");
        drop(body);
        assert_eq!(bench.requests(), ["GET / 200 cancelled"]);
    }
}

#[tokio::test]
async fn a_body_that_fails_is_a_server_error() {
    let bench = Bench::new();
    let app = answering(&bench, &[data("some of it"), Step::Fail], Hints::None);
    let body = head(&app, get("/")).await.into_body();
    body.collect().await.unwrap_err();
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET / 200 body".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ server_error default"]);
    assert_eq!(bench.body_bytes("response"), 10.0);
}

#[tokio::test]
async fn a_service_error_is_a_server_error_and_is_passed_on() {
    let bench = Bench::new();
    let failing = service_fn(|_request: Request<Body>| ready(Err::<Response, _>("refused")));
    let error = bench.layer().layer(failing).oneshot(get("/")).await.unwrap_err();
    assert_eq!(error, "refused");
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET unmatched service".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ server_error unmatched"]);
}

#[tokio::test]
async fn a_body_that_says_it_has_ended_needs_no_further_poll() {
    let bench = Bench::new();
    let app = answering(&bench, &[data("hello, "), data("world")], Hints::All);
    let mut body = head(&app, get("/")).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(bench.requests(), Vec::<String>::new());
    body.frame().await.unwrap().unwrap();
    assert_eq!(bench.requests(), ["GET / 200"]);
    drop(body);
    assert_eq!(bench.requests(), ["GET / 200"]);
}

#[tokio::test]
async fn a_body_that_has_the_declared_length_needs_no_further_poll() {
    let of_its_size = ScriptedBody::new([data("hello, "), data("world")], Hints::Size);
    let of_its_header = ScriptedBody::new([data("hello, "), data("world")], Hints::None);
    for (body, header) in [(of_its_size, None), (of_its_header, Some("12"))] {
        let bench = Bench::new();
        let answer = move || {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|length| (CONTENT_LENGTH, length.parse().unwrap())));
            ready((headers, Body::new(body.clone())))
        };
        let app = Router::new().route("/", on_get(answer)).layer(bench.layer().follow_all_bodies());
        let mut body = head(&app, get("/")).await.into_body();
        body.frame().await.unwrap().unwrap();
        assert_eq!(bench.requests(), Vec::<String>::new());
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(bench.requests(), ["GET / 200"]);
        assert_eq!(bench.body_bytes("response"), 12.0);
    }
}

#[tokio::test]
async fn trailers_end_a_body() {
    let bench = Bench::new();
    let trailers = HeaderMap::from_iter([(http::header::EXPIRES, "0".parse().unwrap())]);
    let app = answering(&bench, &[data("hello"), Step::Trailers(trailers)], Hints::None);
    let mut body = head(&app, get("/")).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    drop(body);
    assert_eq!(bench.requests(), ["GET / 200"]);
}

#[tokio::test]
async fn a_response_whose_body_is_never_read_is_complete() {
    let with_status = |status: u16| {
        let body = Body::new(ScriptedBody::new([data("never sent")], Hints::None));
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    for (method, status) in [
        (Method::HEAD, 200),
        (Method::HEAD, 404),
        (Method::CONNECT, 200),
        (Method::GET, 101),
        (Method::GET, 204),
        (Method::GET, 304),
    ] {
        let bench = Bench::new();
        let service =
            bench.layer().layer(service_fn(|_request: Request<Body>| ready(Ok::<_, Infallible>(with_status(status)))));
        let request = Request::builder().method(&method).uri("/").body(Body::empty()).unwrap();
        drop(service.oneshot(request).await.unwrap());
        assert_eq!(bench.requests(), [format!("{method} unmatched {status}")]);
        assert_eq!((bench.in_flight(), bench.body_bytes("response")), (0.0, 0.0));
    }
}

#[tokio::test]
async fn an_empty_body_is_complete_at_the_head() {
    for hints in [Hints::Size, Hints::All] {
        let bench = Bench::new();
        drop(head(&answering(&bench, &[], hints), get("/")).await);
        assert_eq!(bench.requests(), ["GET / 200"], "{hints:?}");
    }
}

#[tokio::test]
async fn nothing_is_measured_before_a_monitoring_is_installed() {
    let app = Router::new()
        .route(
            "/",
            on_get(|slot: monitoring_axum::TenantSlot| async move {
                slot.set(Tenant::UNKNOWN);
                format!("{:?}", slot.get())
            }),
        )
        .layer(monitoring_axum::layer().tenant(|_: &monitoring_axum::RequestHead<'_>, _: &_| Tenant::UNKNOWN));
    assert_eq!(send(&app, get("/")).await, (200, "Tenant(__none__)".to_owned()));
}

#[tokio::test]
async fn readiness_of_the_inner_service_is_passed_on() {
    let bench = Bench::new();
    let (limited, mut handle) = tower_test::mock::spawn_layer::<Request<Body>, Response, _>(bench.layer());
    let mut limited = limited;
    handle.allow(0);
    assert!(limited.poll_ready().is_pending());
    handle.send_error("broken");
    let Poll::Ready(Err(error)) = limited.poll_ready() else { panic!("the error was swallowed") };
    assert_eq!(error.to_string(), "broken");
    assert_eq!((bench.requests(), bench.in_flight()), (vec![], 0.0));
}
