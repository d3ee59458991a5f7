//! The service: what its handlers share, and its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use monitoring_axum::{FromExtension, tenant_metrics};
use monitoring_core::Monitoring;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

use crate::activity::Feeds;
use crate::auth::Session;
use crate::cache::Cache;
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

/// What the handlers share.
pub struct App {
    pub(crate) monitoring: Monitoring,
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    pub(crate) directory: Directory,
    pub(crate) identity_provider: IdentityProvider,
    pub(crate) tokens: Tokens,
    pub(crate) feeds: Feeds,
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
        let cache = Cache::connect(config.redis_url.as_deref().filter(|url| !url.is_empty())).await?;
        let directory = Directory::open(&store, config.tenants, monitoring.tenants()).await?;
        let stub = StubSettings { seed: config.seed, failures: config.identity_failures };
        metrics::describe_counter!("reports_generated_total", "Reports made or failed.");
        Ok(Arc::new(Self {
            monitoring,
            store,
            cache,
            directory,
            identity_provider: IdentityProvider::start(stub).await?,
            tokens: Tokens::new(&config.jwt_secret),
            feeds: Feeds::default(),
            jobs: TaskTracker::new(),
            job_places: Semaphore::new(report_job::CONCURRENCY),
            stopping: CancellationToken::new(),
        }))
    }

    /// Says that no more requests are taken, and ends the live feeds, which would never end by themselves.
    pub fn begin_to_stop(&self) {
        self.monitoring.set_ready(false);
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
        .route("/login", post(auth::login))
        .nest("/api/v1", api)
        .fallback(async || ApiError::NotFound("page"))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME_LIMIT))
        .layer(monitoring_axum::layer().route_group(group))
        .layer(CatchPanicLayer::new())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(Arc::clone(app))
        // The probes, for whatever keeps the service running, and /metrics for who has a token. Not counted as requests.
        .merge(monitoring_axum::routes(&app.monitoring))
}

/// The parts of the product that each tenant's requests are counted by.
fn group(route: &str) -> &'static str {
    match route {
        "unmatched" => "unmatched",
        "/login" | "/api/v1/session/renew" => "session",
        "/api/v1/activity" => "activity",
        "/api/v1/metrics" => "metrics",
        route if route.contains("/reports") => "reports",
        _ => "projects",
    }
}
