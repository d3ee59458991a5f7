//! The tenant that the path names.

use axum::extract::NestedPath;
use monitoring_core::{Tenant, TenantRegistry};
use percent_encoding::percent_decode_str;

use super::{RequestHead, TenantResolver};

/// Longer than any id with each of its bytes percent-encoded.
const MAX_SEGMENT: usize = 3 * 64;

/// Takes the tenant from a parameter of the matched route: `PathParameter::new("tenant")` finds `acme` in
/// `/t/acme/projects` where the route is `/t/{tenant}/projects`.
///
/// The route is known to a layer on the router, and not to one around the whole application: give this to the former. The
/// parameter must be a whole segment of the template. Routes without it, and requests that match no route, name no
/// tenant. Whoever sends the request chooses the path: only registered tenants are found.
#[derive(Clone, Debug)]
pub struct PathParameter {
    /// The segment as the template has it: `{tenant}`.
    segment: Box<str>,
}

impl PathParameter {
    /// Takes the value of the parameter `name`.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { segment: format!("{{{}}}", name.as_ref()).into_boxed_str() }
    }

    fn find<'a>(&self, request: &RequestHead<'a>) -> Option<&'a str> {
        let position = segments(request.matched_path()?).position(|segment| segment == &*self.segment)?;
        // Inside a nested router the prefix is gone from the path, but not from the template.
        let stripped = request
            .extensions()
            .get::<NestedPath>()
            .map_or(0, |prefix| segments(prefix.as_str().trim_end_matches('/')).count());
        segments(request.uri().path()).nth(position.checked_sub(stripped)?).filter(|segment| !segment.is_empty())
    }
}

/// The segments of a path or a template that begins with a slash.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

impl TenantResolver for PathParameter {
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        match self.find(request) {
            None => Tenant::NONE,
            Some(segment) if segment.len() > MAX_SEGMENT => Tenant::UNKNOWN,
            // Handlers see the parameter decoded, so `ac%6De` is `acme` to them. Nothing is copied unless it is encoded.
            Some(segment) => {
                percent_decode_str(segment).decode_utf8().map_or(Tenant::UNKNOWN, |id| tenants.lookup(&id))
            }
        }
    }
}
