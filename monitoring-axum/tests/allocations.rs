//! What the layer allocates: nothing for a request and a response that are in memory, and a box for each body that has to
//! be followed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{Route, get};
use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt, StreamBody};
use monitoring_axum::{PathParameter, TenantSlot};
use monitoring_core::{Monitoring, Tier};
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt};

type Followed = MapErr<Body, fn(axum::Error) -> axum::Error>;

/// The least that such a layer can do: the body gets another type.
fn follow(
    route: Route,
) -> impl Service<Request, Response = Response<Followed>, Error = Infallible, Future: Send> + Clone + Send + Sync {
    let keep: fn(axum::Error) -> axum::Error = |error| error;
    ServiceExt::<Request>::map_response(route, move |response: Response| response.map(|body| body.map_err(keep)))
}

fn routes() -> Router {
    let name_the_tenant = |slot: TenantSlot| async move {
        slot.set(slot.get());
        "some text"
    };
    Router::new().route("/t/{tenant}", get(name_the_tenant))
}

fn request() -> Request {
    Request::get("/t/acme").body(Body::empty()).unwrap()
}

/// A request whose body does not say how long it is.
fn chunked() -> Request {
    let frames = futures_util::stream::empty::<Result<http_body::Frame<bytes::Bytes>, Infallible>>();
    Request::get("/t/acme").body(Body::new(StreamBody::new(frames))).unwrap()
}

/// The allocations of one request, to the end of its response.
fn allocations(request: fn() -> Request, mut serve: impl FnMut(Request, &mut Context<'_>)) -> u64 {
    let mut task = Context::from_waker(Waker::noop());
    // The first requests make the series.
    for _ in 0..3 {
        serve(request(), &mut task);
    }
    let request = request();
    measure(|| serve(request, &mut task)).count_total
}

fn drive<B: http_body::Body<Error: Debug>>(
    response: impl Future<Output = Result<Response<B>, Infallible>>,
    task: &mut Context<'_>,
) {
    let Poll::Ready(Ok(response)) = pin!(response).poll(task) else { panic!("the handler does not wait") };
    let mut body = pin!(response.into_body());
    let mut frames = 0;
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(task) {
        frame.unwrap();
        frames += 1;
    }
    assert_eq!(frames, 1);
}

fn of_router(router: Router) -> u64 {
    let router = router.with_state(());
    allocations(request, |request, task| drive(router.clone().oneshot(request), task))
}

#[test]
fn a_measured_request_allocates_nothing_unless_a_body_has_to_be_followed() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let layer = monitoring_axum::layer()
        .monitoring(&monitoring)
        .unwrap()
        .tenant(PathParameter::new("tenant"))
        .route_group(|template| if template.starts_with("/t/") { "tenants" } else { "rest" });

    let bare = of_router(routes());
    let passed = of_router(routes().layer(layer_fn(|route: Route| route)));
    let followed = of_router(routes().layer(layer_fn(follow)));
    let measured = of_router(routes().layer(layer.clone()));
    let following = of_router(routes().layer(layer.clone().follow_all_bodies()));
    // axum boxes the service and its future for any layer, and a body that has got another type.
    assert_eq!((passed - bare, followed - bare), (2, 3));
    assert_eq!((measured - bare, following - bare), (2, 3));
    let recorded = r#"saas_tenant_requests_total{tenant="acme",outcome="ok",route_group="tenants"} 8"#;
    assert!(monitoring.render().contains(recorded));

    // Around a whole router the length is a header already, so the body is followed: axum has boxed nothing.
    let inner = routes().with_state(());
    let around =
        |request| allocations(request, |request, task| drive(layer.layer(inner.clone()).oneshot(request), task));
    assert_eq!(around(request), bare + 1);

    // A request body of unknown length is boxed to be counted.
    let bare = allocations(chunked, |request, task| drive(inner.clone().oneshot(request), task));
    assert_eq!(around(chunked), bare + 2);
}
