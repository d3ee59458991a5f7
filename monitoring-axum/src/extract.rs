//! The tenant of the running request, for handlers and for authentication that runs inside the layer.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use monitoring_core::Tenant;

/// Names the tenant of the running request: for authentication that runs inside our layer, where no resolver could know
/// the tenant yet.
///
/// What is set last counts: for the request's own metrics, which are recorded when the response has ended, and for all
/// SQL, Redis and other work of the request from here on. The slot belongs to the task that serves the request, so it
/// has no size, costs no allocation, and needs no request extension; middleware of any tower service can make one with
/// [`TenantSlot::current`].
///
/// ```
/// use axum::{Router, extract::{Request, State}, middleware::{Next, from_fn_with_state}, response::Response};
/// use monitoring_axum::{TenantSlot, layer};
/// use monitoring_core::Monitoring;
///
/// /// Runs after the session was verified.
/// async fn name_the_tenant(
///     State(monitoring): State<Monitoring>,
///     slot: TenantSlot,
///     request: Request,
///     next: Next,
/// ) -> Response {
///     let organisation = "acme"; // … of the verified session
///     slot.set(monitoring.tenants().admit(organisation));
///     next.run(request).await
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::from_env("billing")?.install()?;
/// let app: Router = Router::new()
///     // … routes …
///     .layer(from_fn_with_state(monitoring.clone(), name_the_tenant))
///     .layer(layer());
/// # let _ = app;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantSlot(());

impl TenantSlot {
    /// The slot of the running request.
    pub const fn current() -> Self {
        Self(())
    }

    /// Names the tenant. Outside of a measured request (a route without the layer, a task of its own, before
    /// `install()`) there is nothing to name it for, and nothing happens.
    pub fn set(self, tenant: Tenant) {
        // The application must not fail because it is not being watched.
        let _ = Tenant::set_current(tenant);
    }

    /// The tenant as it is known so far: [`Tenant::NONE`] until it is named.
    pub fn get(self) -> Tenant {
        Tenant::current()
    }
}

impl<S: Sync> FromRequestParts<S> for TenantSlot {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::current())
    }
}

/// Extracts the tenant of the running request, as the resolver or a [`TenantSlot`] named it; [`Tenant::NONE`] if none
/// did. It is for measuring and showing: whether the caller may act for that tenant is the application's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentTenant(pub Tenant);

impl<S: Sync> FromRequestParts<S> for CurrentTenant {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Tenant::current()))
    }
}
