//! Which tenant a request belongs to.
//!
//! `head.rs` is what a resolver may look at. [`TenantResolver`] is the seam; the resolvers we ship are in order of how
//! far they can be trusted: `verified.rs` (what the application's own authentication has verified: a request extension, a
//! token's claim), `api_key.rs`, `trusted_peer.rs` (a header that a proxy of ours has set), then `subdomain.rs` and
//! `path.rs`, which any client can choose and which therefore only ever find tenants that are registered already.
//! `checked.rs` holds one against another.

mod api_key;
mod checked;
mod head;
mod path;
mod subdomain;
mod trusted_peer;
mod verified;

pub use api_key::ApiKey;
pub use checked::CheckedBy;
pub use head::RequestHead;
pub use path::PathParameter;
pub use subdomain::Subdomain;
pub use trusted_peer::{InvalidPeer, TrustedPeerHeader};
pub use verified::{FromExtension, VerifiedClaim};

use monitoring_core::{Tenant, TenantRegistry};

/// Says which tenant a request belongs to. Asked once per request, before the inner service is called.
///
/// The answer is [`Tenant::NONE`] if the request names no tenant in the way that this resolver looks for, and
/// [`Tenant::UNKNOWN`] if it names one that is not registered or is no valid id. Ids that are **verified** go through
/// [`TenantRegistry::admit`], everything that a client can choose freely through [`TenantRegistry::lookup`]: so nobody
/// can make up tenants.
///
/// A closure is a resolver:
///
/// ```
/// use monitoring_axum::RequestHead;
/// use monitoring_core::TenantRegistry;
///
/// let layer = monitoring_axum::layer().tenant(|request: &RequestHead<'_>, tenants: &TenantRegistry| {
///     match request.extensions().get::<std::sync::Arc<str>>() {
///         Some(organisation) => tenants.admit(organisation),
///         None => monitoring_core::Tenant::NONE,
///     }
/// });
/// # let _ = layer;
/// ```
pub trait TenantResolver: Send + Sync + 'static {
    /// The tenant of that request.
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant;

    /// Asks `next` when this resolver finds no tenant named. [`Tenant::UNKNOWN`] is an answer: what was verified wins
    /// over what the client has chosen, even if it is not registered.
    ///
    /// ```
    /// use monitoring_axum::{PathParameter, Subdomain, TenantResolver};
    ///
    /// let resolver = Subdomain::of("example.com").or(PathParameter::new("tenant"));
    /// # let _ = monitoring_axum::layer().tenant(resolver);
    /// ```
    fn or<R: TenantResolver>(self, next: R) -> Or<Self, R>
    where
        Self: Sized,
    {
        Or { first: self, next }
    }

    /// Compares the answer with that of `other`. A request is still the first one's; but if the two name different tenants, both
    /// of which are registered, that is counted for the first in `saas_tenant_isolation_violations_total{layer="http"}`, and
    /// logged: somebody's credentials are used at the address of somebody else. To refuse such a request is up to the
    /// application.
    ///
    /// ```
    /// use monitoring_axum::{RequestHead, Subdomain, TenantResolver, VerifiedClaim};
    /// # fn verify(_: &RequestHead<'_>) -> Option<String> { None }
    ///
    /// let resolver = VerifiedClaim::new(verify).checked_by(Subdomain::of("example.com"));
    /// # let _ = monitoring_axum::layer().tenant(resolver);
    /// ```
    fn checked_by<R: TenantResolver>(self, other: R) -> CheckedBy<Self, R>
    where
        Self: Sized,
    {
        CheckedBy::new(self, other)
    }
}

impl<F> TenantResolver for F
where
    F: Fn(&RequestHead<'_>, &TenantRegistry) -> Tenant + Send + Sync + 'static,
{
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        self(request, tenants)
    }
}

/// The first of two resolvers that answers, made by [`TenantResolver::or`].
#[derive(Clone, Copy, Debug)]
pub struct Or<A, B> {
    first: A,
    next: B,
}

impl<A: TenantResolver, B: TenantResolver> TenantResolver for Or<A, B> {
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        match self.first.resolve(request, tenants) {
            tenant if tenant == Tenant::NONE => self.next.resolve(request, tenants),
            tenant => tenant,
        }
    }
}
