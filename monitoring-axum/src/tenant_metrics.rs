//! The metrics of one tenant, for the tenant.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use monitoring_core::{Monitoring, Tenant, TenantRegistry};

use crate::scrape::{View, answer, caching};
use crate::tenant::{
    ApiKey, CheckedBy, FromExtension, Or, RequestHead, TenantResolver, TrustedPeerHeader, VerifiedClaim,
};

const NO_TENANT: &str = "these are the metrics of a tenant, and the request is not of any\n";

/// A [`TenantResolver`] whose answer is verified: who names that tenant may see what is its own.
///
/// Of the resolvers shipped here these are all but [`Subdomain`](crate::Subdomain) and
/// [`PathParameter`](crate::PathParameter), which any client can choose; of two joined by
/// [`or`](TenantResolver::or), both must be. A closure is one by your word.
pub trait VerifiedResolver: TenantResolver {}

impl<T, F> VerifiedResolver for FromExtension<T, F> where Self: TenantResolver {}
impl<F> VerifiedResolver for VerifiedClaim<F> where Self: TenantResolver {}
impl<F> VerifiedResolver for ApiKey<F> where Self: TenantResolver {}
impl VerifiedResolver for TrustedPeerHeader {}
impl<A: VerifiedResolver, B: VerifiedResolver> VerifiedResolver for Or<A, B> {}
impl<A: VerifiedResolver, B: TenantResolver> VerifiedResolver for CheckedBy<A, B> {}
impl<F> VerifiedResolver for F where F: Fn(&RequestHead<'_>, &TenantRegistry) -> Tenant + Send + Sync + 'static {}

/// A route that shows a tenant its own metrics: the per-tenant families, filtered to the tenant that `tenant` finds.
/// Mount it where you like, behind the application's authentication. It speaks the formats and codings of `/metrics`.
///
/// | the request is | answer |
/// |---|---|
/// | a registered tenant's | 200 |
/// | of no tenant ([`Tenant::NONE`]) | 403 |
/// | of a tenant that is not registered ([`Tenant::UNKNOWN`]), or is of another monitoring | 404 |
/// | one too many: see [`ScrapeLimits`](crate::ScrapeLimits) | 503 |
///
/// The tenant is found anew here, by a resolver that is [verified](VerifiedResolver). What the layer was told to
/// measure by may be a mere subdomain, and that any client can choose. So this does not compile:
///
/// ```compile_fail,E0277
/// # let monitoring = monitoring_core::Monitoring::builder("billing").build().unwrap();
/// let route: axum::routing::MethodRouter = monitoring_axum::tenant_metrics(&monitoring, monitoring_axum::Subdomain::of("example.com"));
/// ```
///
/// With a principal that authentication outside puts into the request's extensions:
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use monitoring_axum::{FromExtension, tenant_metrics};
/// use monitoring_core::{Monitoring, Tier};
/// # use tower::ServiceExt;
///
/// #[derive(Clone)]
/// struct Principal {
///     organisation: String,
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let own = FromExtension::new(|principal: &Principal| Some(&*principal.organisation));
/// let app: Router = Router::new()
///     .route("/tenant/metrics", tenant_metrics(&monitoring, own))
///     // Stands for authentication.
///     .layer(Extension(Principal { organisation: "acme".to_owned() }));
///
/// # monitoring.tenants().register("acme".parse()?, Tier::Standard)?;
/// # let request = http::Request::get("/tenant/metrics").body(axum::body::Body::empty())?;
/// # assert_eq!(app.oneshot(request).await?.status(), 200);
/// # Ok(()) }
/// ```
///
/// Where authentication inside the layer names the tenant with a [`TenantSlot`](crate::TenantSlot), on **every** request
/// that comes this far, a closure says that this is the one:
///
/// ```
/// use monitoring_axum::{RequestHead, TenantSlot, tenant_metrics};
/// use monitoring_core::{Monitoring, TenantRegistry};
///
/// # let monitoring = Monitoring::builder("billing").build()?;
/// let own = |_: &RequestHead<'_>, _: &TenantRegistry| TenantSlot::current().get();
/// let app: axum::Router = axum::Router::new().route("/tenant/metrics", tenant_metrics(&monitoring, own));
/// # let _ = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn tenant_metrics<S>(monitoring: &Monitoring, tenant: impl VerifiedResolver) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (monitoring, resolver) = (monitoring.clone(), Arc::new(tenant));
    get(move |request: Request| {
        let tenant = resolver.resolve(&RequestHead::of(&request), monitoring.tenants());
        own_metrics(monitoring.clone(), tenant, request.into_parts().0)
    })
}

async fn own_metrics(monitoring: Monitoring, tenant: Tenant, request: Parts) -> Response {
    let refused = if tenant == Tenant::NONE {
        (StatusCode::FORBIDDEN, NO_TENANT)
    } else if !is_registered(tenant, monitoring.tenants()) {
        (StatusCode::NOT_FOUND, "")
    } else {
        return answer(&monitoring, View::Tenant(tenant), request).await;
    };
    ([(CACHE_CONTROL, caching(View::Tenant(tenant)))], refused).into_response()
}

/// Whether there are metrics of this tenant alone: a handle of another registry stands for `__unknown__` here.
fn is_registered(tenant: Tenant, tenants: &TenantRegistry) -> bool {
    tenant.is_known() && tenants.lookup(tenants.id(tenant)) == tenant
}
