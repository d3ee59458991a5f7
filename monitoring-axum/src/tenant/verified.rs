//! The tenant that the application's own authentication has verified.

use std::fmt;
use std::marker::PhantomData;

use monitoring_core::{Tenant, TenantRegistry};

use super::{RequestHead, TenantResolver};

/// Takes the tenant from a request extension that the application's authentication has set, in a layer **outside** ours.
/// (Authentication that runs inside names the tenant with a [`TenantSlot`](crate::TenantSlot).)
///
/// The id is taken as verified. Without the extension, or if the function gives `None`, no tenant is named.
///
/// ```
/// use monitoring_axum::FromExtension;
///
/// #[derive(Clone)]
/// struct Principal {
///     organisation: Option<String>,
/// }
///
/// let resolver = FromExtension::new(|principal: &Principal| principal.organisation.as_deref());
/// # let _ = monitoring_axum::layer().tenant(resolver);
/// ```
pub struct FromExtension<T, F> {
    id: F,
    extension: PhantomData<fn(&T)>,
}

impl<T, F> FromExtension<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> Option<&str> + Send + Sync + 'static,
{
    /// Takes the id that `id` finds in an extension of type `T`.
    pub fn new(id: F) -> Self {
        Self { id, extension: PhantomData }
    }
}

impl<T, F> TenantResolver for FromExtension<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> Option<&str> + Send + Sync + 'static,
{
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        match request.extensions().get::<T>().and_then(&self.id) {
            Some(id) => tenants.admit(id),
            None => Tenant::NONE,
        }
    }
}

impl<T, F> fmt::Debug for FromExtension<T, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FromExtension").field("extension", &std::any::type_name::<T>()).finish_non_exhaustive()
    }
}

/// Takes the tenant from a claim that the application verifies: the closure checks the token's signature, expiry and
/// audience and gives the claim, or `None`. This crate never verifies a token itself, and never reads one.
///
/// The closure runs on every request, before the handler; if verifying is costly, do it once in the application's own
/// authentication and use [`FromExtension`] or [`TenantSlot`](crate::TenantSlot).
///
/// ```
/// use monitoring_axum::{RequestHead, VerifiedClaim};
/// # struct Claims { org_id: String }
/// # fn verify(token: &str) -> Option<Claims> { (token == "signed").then(|| Claims { org_id: "acme".into() }) }
///
/// let resolver = VerifiedClaim::new(|request: &RequestHead<'_>| {
///     let token = request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
///     Some(verify(token)?.org_id)
/// });
/// # let _ = monitoring_axum::layer().tenant(resolver);
/// ```
pub struct VerifiedClaim<F> {
    claim: F,
}

impl<F> VerifiedClaim<F> {
    /// Takes the id that `claim` has verified.
    pub fn new<C>(claim: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> Option<C> + Send + Sync + 'static,
        C: AsRef<str>,
    {
        Self { claim }
    }
}

impl<F, C> TenantResolver for VerifiedClaim<F>
where
    F: Fn(&RequestHead<'_>) -> Option<C> + Send + Sync + 'static,
    C: AsRef<str>,
{
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        match (self.claim)(request) {
            Some(id) => tenants.admit(id.as_ref()),
            None => Tenant::NONE,
        }
    }
}

impl<F> fmt::Debug for VerifiedClaim<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifiedClaim").finish_non_exhaustive()
    }
}
