//! The application, and the requests that it answers.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::BodyExt;
use monitoring_benches::Kind;
use tokio::runtime::Runtime;
use tower::Service;

use crate::measure::Variant;

pub(crate) const ROUTES: usize = 20;
pub(crate) const TENANTS: usize = 1_000;

/// What the application's authentication has found out, before any monitoring.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) tenant: Arc<str>,
}

impl Claims {
    /// The tenant of the request.
    pub(crate) fn tenant(request: &Request) -> &str {
        request.extensions().get::<Self>().map_or("", |claims| claims.tenant.as_ref())
    }
}

/// Routes that answer at once. With its state, so that layers are built once and not for each request.
pub(crate) fn router() -> Router {
    (0..ROUTES)
        .fold(Router::new(), |router, route| router.route(&template(route), post(|body: Bytes| async move { body })))
        .with_state(())
}

pub(crate) fn template(route: usize) -> String {
    format!("/v1/resource{route}/{{id}}")
}

/// The requests that every variant answers, in the same order.
pub(crate) struct Requests {
    runtime: Runtime,
    paths: Vec<String>,
    pub(crate) routes: Vec<String>,
    pub(crate) tenants: Vec<Claims>,
}

impl Requests {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            paths: (0..ROUTES).map(|route| format!("/v1/resource{route}/42")).collect(),
            routes: (0..ROUTES).map(template).collect(),
            tenants: (0..TENANTS).map(|tenant| Claims { tenant: format!("tenant-{tenant:04}").into() }).collect(),
        })
    }

    /// Answers requests with that router.
    pub(crate) fn variant(&self, name: &'static str, kind: Kind, router: Router) -> Variant<'_> {
        Variant::new(name, kind, move |_, iterations| {
            let mut service = router.clone().into_service();
            self.runtime.block_on(async {
                // Every tenant on a route, then every tenant on the next one, and so on.
                let tenants = self.tenants.iter().cycle();
                let paths = (0..).flat_map(|round| (0..TENANTS).map(move |tenant| tenant + round));
                for (tenant, place) in tenants.zip(paths).take(iterations as usize) {
                    let path = self.paths.get(place % ROUTES).map_or("", String::as_str);
                    let mut request =
                        Request::post(path).body(Body::from(Bytes::from_static(&[b'x'; 64]))).unwrap_or_default();
                    request.extensions_mut().insert(tenant.clone());
                    let Ok(response) = service.call(request).await;
                    let mut body = response.into_body();
                    while let Some(Ok(frame)) = body.frame().await {
                        std::hint::black_box(frame);
                    }
                }
            });
        })
    }
}
