//! Pages in a real browser: what its script reports is what happened on the page.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Html;
use axum::routing::get;
use fantoccini::{Client, ClientBuilder, Locator};
use monitoring_axum::{Browser, Subdomain};
use monitoring_core::{Monitoring, Tier};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::ChromeDriver;

/// A page with a text to paint, a button that takes its time, a piece that pushes the text down, an error, and a rejection.
/// It goes to another path by itself, has a trace of its own, and handles what it has fetched in vain.
const PAGE: &str = r#"<!doctype html><title>Invoice</title>
<script src="/vitals.js"></script>
<div id="pushed"></div>
<h1>Invoice with a heading that is large enough to be the largest paint</h1>
<button id="slow" onclick="for (let end = performance.now() + 80; performance.now() < end;);">Pay</button>
<script>
  setTimeout(() => { throw new Error("canary-in-message") });
  Promise.reject(new Error("canary-in-message"));
  fetch("http://[").catch(() => {});
  fetch("/seen", {headers: {traceparent: "set-by-the-page"}});
  history.pushState(0, "", "/elsewhere");
  fetch("/seen").then(() => new Promise(done => setTimeout(done, 700))).then(() => {
    pushed.style.height = "300px";
    requestAnimationFrame(() => requestAnimationFrame(() => document.title = "shifted"));
  });
</script>"#;

struct Site {
    monitoring: Monitoring,
    address: SocketAddr,
    traceparents: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn start(configure: impl FnOnce(Browser) -> Browser) -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
        let browser = configure(Browser::new(&monitoring).unwrap().pages(["/invoices/{id}"]).unwrap());
        let traceparents = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&traceparents);
        let app = Router::new()
            .route("/invoices/{id}", get(|| async { Html(PAGE) }))
            .route(
                "/seen",
                get(|headers: HeaderMap| async move {
                    let sent = headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned());
                    seen.lock().unwrap().extend(sent);
                }),
            )
            .route("/away", get(|| async { Html("<!doctype html>") }))
            .route("/vitals.js", browser.into_route())
            .layer(monitoring_axum::layer().monitoring(&monitoring).unwrap().tenant(Subdomain::of("localhost")));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { monitoring, address, traceparents }
    }

    /// Looks at the page as a person would, and leaves it.
    async fn visit(&self, client: &Client) {
        let origin = format!("http://acme.localhost:{}", self.address.port());
        client.goto(&format!("{origin}/invoices/4711?token=canary-in-query")).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while client.title().await.unwrap() != "shifted" {
            assert!(Instant::now() < deadline, "the page has not done all that it was to do");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.find(Locator::Id("slow")).await.unwrap().click().await.unwrap();
        client.goto(&format!("{origin}/away")).await.unwrap();
    }

    async fn reported(&self, is_there: impl Fn(&Samples) -> bool) -> Samples {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = self.monitoring.render();
            let samples: Samples = text.parse().unwrap();
            if is_there(&samples) {
                assert!(!text.contains("canary") && !text.contains("4711"), "{text}");
                return samples;
            }
            assert!(Instant::now() < deadline, "nothing was reported:\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn browser(driver: &ChromeDriver) -> Client {
    ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
        .capabilities(driver.capabilities())
        .connect(&driver.url())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_reported_by_route_and_tenant() {
    let driver = ChromeDriver::start().unwrap();
    let client = browser(&driver).await;
    let site = Site::start(Browser::traceparent).await;
    site.visit(&client).await;

    let page = [("http_route", "/invoices/{id}")];
    let shift = "saas_browser_cumulative_layout_shift";
    let samples = site.reported(|samples| samples.sum(&format!("{shift}_count"), &page) == 1.0).await;
    assert!(samples.sum(&format!("{shift}_sum"), &page) > 0.01);
    let paint = "saas_browser_largest_contentful_paint_seconds";
    assert_eq!(samples.sum(&format!("{paint}_count"), &page), 1.0);
    assert!(samples.sum(&format!("{paint}_sum"), &page) > 0.0);
    let interaction = "saas_browser_interaction_to_next_paint_seconds";
    assert_eq!(samples.sum(&format!("{interaction}_count"), &page), 1.0);
    assert!(samples.sum(&format!("{interaction}_sum"), &page) >= 0.08, "the click took as long as its handler");
    for vital in ["largest_contentful_paint", "interaction_to_next_paint", "cumulative_layout_shift"] {
        let rated = samples.sum("saas_tenant_web_vitals_total", &[("tenant", "acme"), ("vital", vital)]);
        assert_eq!(rated, 1.0, "{vital}");
    }
    for kind in ["uncaught", "unhandled_rejection"] {
        let errors = samples.sum("saas_tenant_script_errors_total", &[("tenant", "acme"), ("kind", kind)]);
        assert_eq!(errors, 1.0, "{kind}");
    }

    let mut traceparents = site.traceparents.lock().unwrap().clone();
    let with_own = traceparents.len();
    traceparents.retain(|sent| sent != "set-by-the-page");
    assert_eq!(with_own, traceparents.len() + 1, "what the page has set stays as it is");
    let [traceparent] = traceparents.as_slice() else { panic!("{traceparents:?}") };
    let parts: Vec<_> = traceparent.split('-').map(str::len).collect();
    assert_eq!(parts, [2, 32, 16, 2], "{traceparent}");
    assert!(!traceparent.contains("-0000000000000000"), "{traceparent}");
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_vitals_are_wanted_errors_are_still_reported() {
    let driver = ChromeDriver::start().unwrap();
    let client = browser(&driver).await;
    let site = Site::start(|browser| browser.share(0.0)).await;
    site.visit(&client).await;

    let samples = site.reported(|samples| samples.sum("saas_tenant_script_errors_total", &[]) == 2.0).await;
    assert_eq!(samples.sum("saas_tenant_web_vitals_total", &[]), 0.0);
    assert_eq!(*site.traceparents.lock().unwrap(), ["set-by-the-page"]);
    client.close().await.unwrap();
}
