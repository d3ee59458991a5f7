//! A panic is counted once, and passes through.

use std::convert::Infallible;
use std::future::{Ready, ready};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use http::Request;
use http_body_util::BodyExt;
use monitoring_axum::RequestHead;
use monitoring_core::{Tenant, TenantRegistry};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

use crate::script::{Hints, ScriptedBody, Step, data};
use crate::{Bench, get, send};

async fn fails() -> &'static str {
    panic!("the handler fails")
}

fn failing() -> Router {
    Router::new().route("/fails", on_get(fails))
}

#[tokio::test]
async fn a_panic_of_the_handler_is_counted_and_resumed() {
    let bench = Bench::new();
    let app = failing().layer(bench.layer());
    let panicked = tokio::spawn(app.oneshot(get("/fails"))).await.unwrap_err();
    assert_eq!(panicked.into_panic().downcast_ref(), Some(&"the handler fails"));
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET /fails panic".to_owned()], 0.0));
    assert_eq!(bench.tenant_requests(), ["__none__ server_error default"]);
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_the_layer_is_counted_once() {
    let bench = Bench::new();
    let app = failing().layer(bench.layer()).layer(CatchPanicLayer::new());
    assert_eq!(send(&app, get("/fails")).await.0, 500);
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET /fails panic".to_owned()], 0.0));
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_the_layer_is_the_response_it_became() {
    let bench = Bench::new();
    let app = failing().layer(CatchPanicLayer::new()).layer(bench.layer());
    assert_eq!(send(&app, get("/fails")).await.0, 500);
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET /fails 500 500".to_owned()], 0.0));
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_counted() {
    fn call(_request: Request<Body>) -> Ready<Result<Response, Infallible>> {
        panic!("the service fails")
    }
    let bench = Bench::new();
    let service = bench.layer().layer(service_fn(call));
    tokio::spawn(service.oneshot(get("/"))).await.unwrap_err();
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET unmatched panic".to_owned()], 0.0));
}

#[tokio::test]
async fn a_panic_of_the_response_body_is_counted_with_its_status() {
    let bench = Bench::new();
    let body = ScriptedBody::new([data("some of it"), Step::Panic], Hints::None);
    let app =
        Router::new().route("/", on_get(move || ready(Body::new(body.clone()).into_response()))).layer(bench.layer());
    let reading = tokio::spawn(async move { app.oneshot(get("/")).await.unwrap().into_body().collect().await });
    assert!(reading.await.unwrap_err().is_panic());
    assert_eq!((bench.requests(), bench.in_flight()), (vec!["GET / 200 panic".to_owned()], 0.0));
    assert_eq!(bench.body_bytes("response"), 10.0);
}

#[tokio::test]
async fn a_panic_of_the_resolver_or_of_the_groups_is_one_of_the_request() {
    let of_the_resolver = Bench::new();
    let app = Router::new().route("/", on_get("unreached")).layer(
        of_the_resolver
            .layer()
            .tenant(|_: &RequestHead<'_>, _: &TenantRegistry| -> Tenant { panic!("the resolver fails") }),
    );
    tokio::spawn(app.oneshot(get("/"))).await.unwrap_err();

    let of_the_groups = Bench::new();
    let groups = of_the_groups.layer().route_group(|_| panic!("the groups fail"));
    tokio::spawn(Router::new().route("/", on_get("unreached")).layer(groups).oneshot(get("/"))).await.unwrap_err();

    // The route is named before the tenant.
    for (bench, recorded) in [(of_the_resolver, "GET / panic"), (of_the_groups, "GET unmatched panic")] {
        assert_eq!((bench.requests(), bench.in_flight()), (vec![recorded.to_owned()], 0.0));
    }
}

#[tokio::test]
async fn the_tenant_of_a_request_that_panicked_is_not_left_behind() {
    let bench = Bench::with_tenants(&["acme"]);
    let resolver = |_: &RequestHead<'_>, tenants: &TenantRegistry| tenants.lookup("acme");
    let app = failing().layer(bench.layer().tenant(resolver)).layer(CatchPanicLayer::new());
    send(&app, get("/fails")).await;
    assert_eq!(Tenant::current(), Tenant::NONE);
    assert_eq!(bench.tenant_requests(), ["acme server_error default"]);
    // A request on the same thread is measured on its own again.
    send(&app, get("/fails")).await;
    assert_eq!(bench.requests().len(), 2);
}
