//! The route that gives the script and takes its reports.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, StatusCode};
use monitoring_core::{DropReason, Instruments, Monitoring, RegistryError, Tenant};

use super::pages::{InvalidPage, Pages};
use super::rate::Rate;
use super::record::Browsers;
use super::report::Report;

const VITALS: &str = include_str!("vitals.js");
const TRACEPARENT: &str = include_str!("traceparent.js");

/// A report that takes longer to come is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Measures pages in the browsers that show them: what [`into_route`](Self::into_route) makes is one route, which gives a
/// script to `GET` and takes that script's reports by `POST`.
///
/// ```
/// use axum::{Router, response::Html, routing::get};
/// use monitoring_axum::{Browser, Subdomain};
/// use monitoring_core::{Monitoring, Tier};
/// # use tower::ServiceExt;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let browser = Browser::new(&monitoring)?.pages(["/", "/invoices/{id}"])?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { Html(r#"<!doctype html><script src="/vitals.js"></script>…"#) }))
///     .route("/vitals.js", browser.into_route())
///     // The layer is around it, so that a report is its tenant's.
///     .layer(monitoring_axum::layer().monitoring(&monitoring)?.tenant(Subdomain::of("billing.example")));
///
/// # monitoring.tenants().register("acme".parse()?, Tier::Standard)?;
/// # let report = http::Request::post("/vitals.js").header("host", "acme.billing.example");
/// # let report = report.body(axum::body::Body::from(r#"{"p":"/","l":1800,"e":0,"r":0}"#))?;
/// # assert_eq!(app.oneshot(report).await?.status(), 204);
/// // After a visit of http://acme.billing.example/:
/// let metrics = monitoring.render();
/// assert!(metrics.contains(r#"saas_browser_largest_contentful_paint_seconds_count{http_route="/"} 1"#));
/// assert!(metrics.contains(r#"saas_tenant_web_vitals_total{tenant="acme",vital="largest_contentful_paint",rating="good"} 1"#));
/// # Ok(()) }
/// ```
///
/// # Whose page it is
/// The report's tenant is the request's, as the layer outside has found it. A browser sends reports with the page's
/// cookies, but without an `Authorization` header: resolve the tenant by subdomain, path or session.
///
/// # What a client can do
/// Reports come from browsers, so anybody can make them up. They carry numbers and a path, and nothing of it becomes a
/// label: the path is matched against [`pages`](Self::pages) and forgotten. A report is at most 1 KiB, its numbers must be
/// possible, pages of other origins are turned away, and each tenant has [so many a second](Self::per_second). What is dropped
/// is counted in `monitoring_dropped_total{signal="browser_reports"}`. Nothing that decides over money or access should
/// rest on these numbers.
#[derive(Clone, Debug)]
pub struct Browser {
    instruments: Instruments<Browsers>,
    pages: Pages,
    share: f64,
    per_second: NonZeroU32,
    traceparent: bool,
}

impl Browser {
    const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

    /// Reports are recorded into `monitoring`.
    ///
    /// # Errors
    /// When a metric's name is taken by a different metric of the application.
    pub fn new(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        Ok(Self {
            instruments: Instruments::of(monitoring)?,
            pages: Pages::default(),
            share: 1.0,
            per_second: Self::PER_SECOND,
            traceparent: false,
        })
    }

    /// The pages that are told apart, as templates such as `/invoices/{id}`: the label `http_route`. All others are
    /// `unmatched`.
    ///
    /// # Errors
    /// When a template is none, or matches what another one does.
    pub fn pages(mut self, templates: impl IntoIterator<Item = &'static str>) -> Result<Self, InvalidPage> {
        for template in templates {
            self.pages.add(template)?;
        }
        Ok(self)
    }

    /// The share of page views whose vitals are reported, from 0 to 1; the default is 1. Browsers draw lots. Percentiles
    /// stay what they are; counts of page views become that share. Errors of scripts are always reported.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// How many reports of one tenant are taken in a second, and as many of all that is of no tenant; the default is 20.
    /// Those beyond get 429.
    #[must_use]
    pub fn per_second(mut self, reports: NonZeroU32) -> Self {
        self.per_second = reports;
        self
    }

    /// Has the script put a `traceparent` into what the page fetches from its own origin, one trace for a page view, unless
    /// the page has set one itself. The server is the one who decides what it is worth.
    #[must_use]
    pub fn traceparent(mut self) -> Self {
        self.traceparent = true;
        self
    }

    /// The route: mount it at any path within the [layer](crate::layer()), and have pages load their script from there.
    ///
    /// It needs a Tokio runtime with its timer enabled.
    pub fn into_route<S>(self) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let script = Bytes::from(self.script());
        let taker = Arc::new(Taker {
            instruments: self.instruments,
            pages: self.pages,
            rate: Rate::per_second(self.per_second),
        });
        get(move || std::future::ready(give(script.clone()))).post(move |request: Request| async move {
            let status = taker.take(request).await;
            (status, [(CACHE_CONTROL, "no-store")])
        })
    }

    fn script(&self) -> String {
        let vitals = VITALS.trim_end().replace("SHARE", &self.share.to_string());
        if self.traceparent { vitals + TRACEPARENT.trim_end() } else { vitals }
    }
}

fn give(script: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, script).into_response()
}

/// Takes reports.
#[derive(Debug)]
struct Taker {
    instruments: Instruments<Browsers>,
    pages: Pages,
    rate: Rate,
}

impl Taker {
    async fn take(&self, request: Request) -> StatusCode {
        let Some(browsers) = self.instruments.get() else { return StatusCode::NO_CONTENT };
        if is_of_another_origin(request.headers()) {
            browsers.dropped(DropReason::Malformed);
            return StatusCode::FORBIDDEN;
        }
        let tenant = Tenant::current();
        if !self.rate.admits(tenant) {
            browsers.dropped(DropReason::RateLimited);
            return StatusCode::TOO_MANY_REQUESTS;
        }
        match read(request.into_body()).await {
            Some(report) => {
                browsers.record(tenant, self.pages.of(&report.path), &report);
                StatusCode::NO_CONTENT
            }
            None => {
                browsers.dropped(DropReason::Malformed);
                StatusCode::BAD_REQUEST
            }
        }
    }
}

async fn read(body: Body) -> Option<Report> {
    let read = tokio::time::timeout(READ_TIMEOUT, axum::body::to_bytes(body, Report::MAX_BYTES));
    Report::read(&read.await.ok()?.ok()?)
}

/// Whether a browser says that a page of another origin has sent this: of another site, or of another tenant's subdomain.
/// Browsers before 2023 say nothing.
fn is_of_another_origin(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_is_within_a_kilobyte() {
        assert!(VITALS.len() <= 1_024, "{}", VITALS.len());
        assert!(TRACEPARENT.len() <= 1_024, "{}", TRACEPARENT.len());
    }

    #[test]
    fn the_share_is_written_as_script_understands_it() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        for (share, expected) in
            [(0.25, "<0.25&&"), (7.0, "<1&&"), (-1.0, "<0&&"), (f64::NAN, "<0&&"), (1e-9, "<0.000000001&&")]
        {
            let script = Browser::new(&monitoring).unwrap().share(share).script();
            assert!(script.contains(expected), "{script}");
            assert!(!script.contains("SHARE"));
        }
    }
}
