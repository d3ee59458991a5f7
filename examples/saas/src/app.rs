//! The service: what its handlers share, and its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Html;
use axum::routing::{get, post};
use monitoring_axum::{Browser, FromExtension, tenant_metrics};
use monitoring_core::Monitoring;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

use crate::activity::Feeds;
use crate::auth::Session;
use crate::cache::Listings;
use crate::config::Config;
use crate::directory::Directory;
use crate::error::ApiError;
use crate::identity_provider::{IdentityProvider, StubSettings};
use crate::startup::StartError;
use crate::store::Store;
use crate::token::Tokens;
use crate::{activity, auth, projects, report_job, reports};

/// The longest that a request may take until its response begins.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The one page there is. How it does in browsers is measured: web vitals, and errors of its scripts.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<title>Projects and reports</title>
<script src="/vitals.js"></script>
<h1>Projects and reports</h1>
<p>The product is at <code>/api/v1</code>; sign in at <code>/login</code>.
"#;

/// What the handlers share.
pub struct App {
    pub(crate) monitoring: Monitoring,
    pub(crate) store: Store,
    pub(crate) listings: Listings,
    pub(crate) directory: Directory,
    pub(crate) identity_provider: IdentityProvider,
    pub(crate) tokens: Tokens,
    pub(crate) feeds: Feeds,
    pub(crate) pages: Browser,
    pub(crate) jobs: TaskTracker,
    pub(crate) job_places: Semaphore,
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// Opens the database and the cache, and makes the listed tenants known.
    ///
    /// # Errors
    /// When a setting or a server cannot be used.
    pub async fn start(config: &Config, monitoring: Monitoring) -> Result<Arc<Self>, StartError> {
        if config.has_public_secret() && !config.listen.ip().is_loopback() {
            return Err(StartError::PublicSecret(config.listen));
        }
        let store = Store::connect(&config.database_url).await?;
        let redis_url = config.redis_url.as_deref().filter(|url| !url.is_empty());
        let listings = Listings::connect(redis_url, &monitoring).await?;
        let directory = Directory::open(&store, config.tenants, monitoring.tenants()).await?;
        let stub = StubSettings { seed: config.seed, failures: config.identity_failures };
        metrics::describe_counter!("reports_generated_total", "Reports made or failed.");
        let identity_provider = IdentityProvider::start(stub, &monitoring).await?;
        let pages = Browser::new(&monitoring)?.pages(["/app"])?.traceparent();
        Ok(Arc::new(Self {
            monitoring,
            store,
            listings,
            directory,
            identity_provider,
            tokens: Tokens::new(&config.jwt_secret),
            feeds: Feeds::default(),
            pages,
            jobs: TaskTracker::new(),
            job_places: Semaphore::new(report_job::CONCURRENCY),
            stopping: CancellationToken::new(),
        }))
    }

    /// Ends the live feeds, which would never end by themselves.
    pub fn end_feeds(&self) {
        self.stopping.cancel();
    }

    /// Waits for the reports that are being made, and closes the database. Each may take until `deadline`.
    pub async fn stop(&self, deadline: Duration) {
        self.jobs.close();
        if tokio::time::timeout(deadline, self.jobs.wait()).await.is_err() {
            tracing::warn!(reports = self.jobs.len(), "stopped before these reports were made");
        }
        if tokio::time::timeout(deadline, self.store.close()).await.is_err() {
            tracing::warn!("stopped while the database was still in use");
        }
    }
}

/// The routes of the service.
///
/// The monitoring layer stands around everything that answers, the time limit included, so that it sees the answer that
/// the client gets. What catches panics stands outside, so that a panic is counted as one.
pub fn router(app: &Arc<App>) -> Router {
    let own_tenant = FromExtension::new(|session: &Session| Some(&*session.tenant));
    let api = Router::new()
        .merge(projects::routes())
        .merge(reports::routes())
        .merge(activity::routes())
        .merge(auth::routes())
        // What a tenant may see of itself: its own series, in the formats of /metrics.
        .route("/metrics", tenant_metrics(&app.monitoring, own_tenant))
        .route_layer(from_fn_with_state(Arc::clone(app), auth::require_session));

    Router::new()
        .route("/app", get(async || Html(PAGE)))
        .route("/vitals.js", app.pages.clone().into_route())
        .route("/login", post(auth::login))
        .nest("/api/v1", api)
        .fallback(async || ApiError::NotFound("page"))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME_LIMIT))
        .layer(monitoring_axum::layer().route_group(group).apdex_for(satisfied_within).slow_requests(SLOW))
        .layer(CatchPanicLayer::new())
        // Connections that clients keep open leave in time when the service is to end.
        .layer(monitoring_axum::close_while_draining(&app.monitoring))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(Arc::clone(app))
        // The probes, for whatever keeps the service running, and /metrics for who has a token. Not counted as requests.
        .merge(monitoring_axum::routes(&app.monitoring))
}

/// What takes longer gets a line in the log.
const SLOW: Duration = Duration::from_secs(2);

/// How long users wait without noticing; nobody waits for the end of a feed.
fn satisfied_within(route: &str) -> Option<Duration> {
    match route {
        "/api/v1/activity" => None,
        "/login" | "/api/v1/session/renew" => Some(Duration::from_millis(200)),
        _ => Some(Duration::from_millis(50)),
    }
}

/// The parts of the product that each tenant's requests are counted by.
fn group(route: &str) -> &'static str {
    match route {
        "unmatched" => "unmatched",
        "/app" | "/vitals.js" => "pages",
        "/login" | "/api/v1/session/renew" => "session",
        "/api/v1/activity" => "activity",
        "/api/v1/metrics" => "metrics",
        route if route.contains("/reports") => "reports",
        _ => "projects",
    }
}
