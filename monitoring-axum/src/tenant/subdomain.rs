//! The tenant whose subdomain the request was sent to.

use http::header::HOST;
use monitoring_core::{Tenant, TenantRegistry};

use super::{RequestHead, TenantResolver};

/// No tenant's id is longer.
const MAX_ID: usize = 64;

/// Takes the tenant from the host name: `acme.example.com` names `acme`, for the base domain `example.com`.
///
/// The host is that of the request's URI (HTTP/2, a proxy request), else the `Host` header; a port is left away. The base
/// domain itself, and any host outside it, names no tenant. Whoever sends the request chooses the host: only registered
/// tenants are found.
///
/// Case makes no difference in a host name, but it does in a tenant's id: what stands before the base is looked up as it
/// was sent, then in lower case, so `ACME.Example.com` names `acme`. Browsers send lower case: they do not find an id
/// that has capitals in it.
#[derive(Clone, Debug)]
pub struct Subdomain {
    base: Box<str>,
}

impl Subdomain {
    /// Takes what stands before `.base` in the host name.
    pub fn of(base: impl Into<String>) -> Self {
        Self { base: base.into().into_boxed_str() }
    }

    fn find<'a>(&self, request: &RequestHead<'a>) -> Option<&'a str> {
        let host = match request.uri().host() {
            Some(host) => host,
            None => without_port(request.headers().get(HOST)?.to_str().ok()?),
        };
        let (before, base) = host.split_at_checked(host.len().checked_sub(self.base.len())?)?;
        let label = before.strip_suffix('.')?;
        (base.eq_ignore_ascii_case(&self.base) && !label.is_empty()).then_some(label)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

impl TenantResolver for Subdomain {
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        let Some(id) = self.find(request) else { return Tenant::NONE };
        match tenants.lookup(id) {
            tenant if tenant == Tenant::UNKNOWN => lookup_lowercase(id, tenants),
            tenant => tenant,
        }
    }
}

/// Looks the id up in lower case, without a copy on the heap.
fn lookup_lowercase(id: &str, tenants: &TenantRegistry) -> Tenant {
    let mut buffer = [0; MAX_ID];
    let Some(lowercase) = buffer.get_mut(..id.len()) else { return Tenant::UNKNOWN };
    lowercase.copy_from_slice(id.as_bytes());
    lowercase.make_ascii_lowercase();
    str::from_utf8(lowercase).map_or(Tenant::UNKNOWN, |id| tenants.lookup(id))
}
