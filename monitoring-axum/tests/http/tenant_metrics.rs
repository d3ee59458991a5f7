//! What a tenant is shown: its own, and nothing else.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get as on_get;
use axum::{Extension, Router};
use monitoring_axum::{FromExtension, RequestHead, Subdomain, TenantSlot, tenant_metrics};
use monitoring_core::{Monitoring, Tenant, TenantRegistry, Tier};
use monitoring_tests::exposition::Samples;

use crate::{Bench, get, head, send};

#[derive(Clone)]
struct Principal(Option<&'static str>);

fn principal(principal: &Principal) -> Option<&str> {
    principal.0
}

/// The application as the principal sees it.
fn application(bench: &Bench, caller: Option<&'static str>) -> Router {
    Router::new()
        .route("/", on_get("home"))
        .route("/tenant/metrics", tenant_metrics(&bench.monitoring, FromExtension::new(principal)))
        // What is measured goes by the subdomain here, which a client can choose.
        .layer(bench.layer().tenant(Subdomain::of("example.com")))
        .layer(Extension(Principal(caller)))
}

fn of_subdomain(path: &str, tenant: &str) -> Request {
    let mut request = get(path);
    request.headers_mut().insert("host", format!("{tenant}.example.com").parse().unwrap());
    request
}

#[tokio::test]
async fn a_tenant_is_shown_its_own_series_only() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    for tenant in ["acme", "zeta", "zeta", "stranger"] {
        send(&application(&bench, None), of_subdomain("/", tenant)).await;
    }
    for (caller, requests) in [("acme", 1.0), ("zeta", 2.0)] {
        // Whatever subdomain it comes by.
        let app = application(&bench, Some(caller));
        let (status, text) = send(&app, of_subdomain("/tenant/metrics", "stranger")).await;
        assert_eq!(status, 200);
        let samples: Samples = text.parse().unwrap();
        let labels = [("tenant", caller), ("outcome", "ok"), ("route_group", "default")];
        assert_eq!(samples.value("saas_tenant_requests_total", &labels), Some(requests));
        assert!(samples.iter().all(|(series, _)| series.labels["tenant"] == caller), "{text}");
    }
}

#[tokio::test]
async fn the_answer_is_private_and_depends_on_what_is_accepted() {
    let bench = Bench::with_tenants(&["acme"]);
    let mut request = get("/tenant/metrics");
    request.headers_mut().insert("accept", "application/openmetrics-text;version=1.0.0".parse().unwrap());
    let response = head(&application(&bench, Some("acme")), request).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text;"));
    assert_eq!(response.headers()["cache-control"], "private, no-store");
    assert_eq!(response.headers()["vary"], "accept, accept-encoding");
}

#[tokio::test]
async fn who_is_of_no_tenant_or_of_an_unknown_one_is_shown_nothing() {
    let bench = Bench { monitoring: Monitoring::builder("test").admit_verified(false).build().unwrap() };
    for (caller, expected) in [(None, 403), (Some("stranger"), 404), (Some("not an id"), 404), (Some("__other__"), 404)]
    {
        let response = head(&application(&bench, caller), get("/tenant/metrics")).await;
        assert_eq!(response.status(), expected, "{caller:?}");
        assert_eq!(response.headers()["cache-control"], "private, no-store");
    }
}

#[tokio::test]
async fn the_reserved_tenants_and_those_of_another_monitoring_are_shown_to_nobody() {
    let (bench, other) = (Bench::with_tenants(&["acme"]), Bench::with_tenants(&["acme", "zeta"]));
    send(&application(&bench, None), of_subdomain("/", "stranger")).await;
    let foreign = other.monitoring.tenants().lookup("acme");
    assert!(foreign.is_known());
    for (tenant, expected) in [(Tenant::NONE, 403), (Tenant::UNKNOWN, 404), (Tenant::OTHER, 404), (foreign, 404)] {
        let whose = move |_: &RequestHead<'_>, _: &TenantRegistry| tenant;
        let app = Router::new().route("/tenant/metrics", tenant_metrics(&bench.monitoring, whose));
        let (status, text) = send(&app, get("/tenant/metrics")).await;
        assert_eq!((status, text.contains("__")), (expected, false), "{tenant:?}");
    }
}

#[tokio::test]
async fn a_closure_can_answer_for_whom_authentication_inside_the_layer_has_named() {
    let bench = Bench::new();
    let acme = bench.monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let name_the_tenant = move |request: Request, next: Next| async move {
        TenantSlot::current().set(acme);
        let response: Response = next.run(request).await;
        response
    };
    let own = |_: &RequestHead<'_>, _: &TenantRegistry| TenantSlot::current().get();
    let app = Router::new()
        .route("/", on_get("home"))
        .route("/tenant/metrics", tenant_metrics(&bench.monitoring, own))
        .layer(from_fn(name_the_tenant))
        .layer(bench.layer());
    send(&app, get("/")).await;
    let (status, text) = send(&app, get("/tenant/metrics")).await;
    assert_eq!(status, 200);
    assert!(
        text.contains("saas_tenant_requests_total{tenant=\"acme\",outcome=\"ok\",route_group=\"default\"} 1\n"),
        "{text}"
    );
}
