//! The tenant that an API key belongs to.

use std::fmt;

use http::HeaderName;
use monitoring_core::{Tenant, TenantRegistry};

use super::{RequestHead, TenantResolver};

/// Takes the tenant that the key in a header belongs to. The closure looks the key up (in the application's own table,
/// by the key's hash) and gives the tenant's id, or `None` for a key it does not know: then no tenant is named.
///
/// The id is taken as verified. The key itself is neither kept, logged nor shown by `Debug`. The closure runs on every
/// request that carries the header and must not block: look the key up in memory.
///
/// ```
/// use std::collections::HashMap;
///
/// use http::HeaderName;
/// use monitoring_axum::ApiKey;
///
/// let owners = HashMap::from([("key-of-acme", "acme")]);
/// let resolver = ApiKey::new(HeaderName::from_static("x-api-key"), move |key| owners.get(key).copied());
/// # let _ = monitoring_axum::layer().tenant(resolver);
/// ```
pub struct ApiKey<F> {
    header: HeaderName,
    owner: F,
}

impl<F> ApiKey<F> {
    /// Takes the id that `owner` finds for the key in `header`.
    pub fn new<C>(header: HeaderName, owner: F) -> Self
    where
        F: Fn(&str) -> Option<C> + Send + Sync + 'static,
        C: AsRef<str>,
    {
        Self { header, owner }
    }
}

impl<F, C> TenantResolver for ApiKey<F>
where
    F: Fn(&str) -> Option<C> + Send + Sync + 'static,
    C: AsRef<str>,
{
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        let key = request.headers().get(&self.header).and_then(|key| key.to_str().ok());
        match key.and_then(&self.owner) {
            Some(id) => tenants.admit(id.as_ref()),
            None => Tenant::NONE,
        }
    }
}

impl<F> fmt::Debug for ApiKey<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiKey").field("header", &self.header).finish_non_exhaustive()
    }
}
