//! What the route for browsers takes, and what it turns away.

use std::num::NonZeroU32;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use monitoring_axum::{Browser, FromExtension};

use crate::{Bench, get, head, send};

const REPORT: &str = r#"{"p":"/invoices/7","l":3000,"i":100,"c":0.3,"e":0,"r":0}"#;

fn site(bench: &Bench) -> Router {
    site_with(bench, |browser| browser)
}

fn site_with(bench: &Bench, configure: impl FnOnce(Browser) -> Browser) -> Router {
    let browser = Browser::new(&bench.monitoring).unwrap().pages(["/", "/invoices/{id}"]).unwrap();
    let tenant = FromExtension::new(|tenant: &&'static str| Some(*tenant));
    Router::new().route("/vitals.js", configure(browser).into_route()).layer(bench.layer().tenant(tenant))
}

fn report(tenant: &'static str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/vitals.js").extension(tenant).body(body.into()).unwrap()
}

#[tokio::test]
async fn the_script_is_given_as_a_script() {
    let bench = Bench::new();
    let response = head(&site(&bench), get("/vitals.js")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_report_is_rated_for_its_tenant_and_told_by_page() {
    let bench = Bench::with_tenants(&["acme"]);
    let (status, body) = send(&site(&bench), report("acme", REPORT)).await;
    assert_eq!((status, body.as_str()), (204, ""));
    let samples = bench.samples();
    let page = [("http_route", "/invoices/{id}")];
    assert_eq!(samples.sum("saas_browser_largest_contentful_paint_seconds_sum", &page), 3.0);
    assert_eq!(samples.sum("saas_browser_interaction_to_next_paint_seconds_sum", &page), 0.1);
    assert_eq!(samples.sum("saas_browser_cumulative_layout_shift_sum", &page), 0.3);
    let mut ratings = bench.counted("saas_tenant_web_vitals_total", &["tenant", "vital", "rating"]);
    ratings.sort();
    assert_eq!(
        ratings,
        [
            "acme cumulative_layout_shift poor",
            "acme interaction_to_next_paint good",
            "acme largest_contentful_paint needs_improvement",
        ]
    );
}

#[tokio::test]
async fn a_made_up_page_and_a_made_up_tenant_make_no_series() {
    let bench = Bench::with_tenants(&["acme"]);
    let site = site(&bench);
    for (tenant, path) in [("acme", "/etc/passwd"), ("no tenant's id", "/x"), ("no tenant's id", "/y")] {
        let body = REPORT.replace("/invoices/7", path);
        assert_eq!(send(&site, report(tenant, body)).await.0, 204);
    }
    let text = bench.monitoring.render();
    assert!(!text.contains("passwd") && !text.contains("no tenant") && !text.contains("/x\""), "{text}");
    assert_eq!(bench.samples().sum("saas_browser_cumulative_layout_shift_count", &[("http_route", "unmatched")]), 3.0);
    assert_eq!(bench.samples().sum("saas_tenant_web_vitals_total", &[("tenant", "__unknown__")]), 6.0);
}

#[tokio::test]
async fn what_is_no_report_is_refused_and_counted() {
    let bench = Bench::new();
    let site = site(&bench);
    let long = format!(r#"{{"p":"/{}","e":0,"r":0}}"#, "x".repeat(2_000));
    for body in ["", "{", r#"{"p":"/","l":-3,"e":0,"r":0}"#, &long] {
        assert_eq!(send(&site, report("acme", body.to_owned())).await.0, 400, "{body}");
    }
    for origin in ["cross-site", "same-site"] {
        let mut foreign = report("acme", REPORT);
        foreign.headers_mut().insert("sec-fetch-site", origin.parse().unwrap());
        assert_eq!(send(&site, foreign).await.0, 403);
    }
    assert_eq!(bench.counted("monitoring_dropped_total", &["signal", "reason"]), ["browser_reports malformed"; 6]);
    assert_eq!(bench.samples().sum("saas_tenant_web_vitals_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_never_ends_is_given_up() {
    let bench = Bench::new();
    let body = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(send(&site(&bench), report("acme", body)).await.0, 400);
}

#[tokio::test]
async fn one_tenants_flood_leaves_room_for_another() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let site = site_with(&bench, |browser| browser.per_second(NonZeroU32::MIN));
    assert_eq!(send(&site, report("acme", REPORT)).await.0, 204);
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(send(&site, report("acme", REPORT)).await.0 == 429);
    }
    assert!(refused > 0, "a flood of twenty within a second");
    assert_eq!(send(&site, report("zeta", REPORT)).await.0, 204);
    let dropped = bench.counted("monitoring_dropped_total", &["signal", "reason"]);
    assert_eq!(dropped, vec!["browser_reports rate_limited"; refused]);
}

#[test]
fn a_page_that_is_given_twice_is_named() {
    let bench = Bench::new();
    let error = Browser::new(&bench.monitoring).unwrap().pages(["/a/{b}", "/a/{c}"]).unwrap_err();
    assert!(error.to_string().contains("/a/{c}"), "{error}");
}
