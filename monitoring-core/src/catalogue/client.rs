//! Calls to other services, as their caller sees them.

use super::{Descriptor, Stability, Unit};

const CONVENTION: &str = "OpenTelemetry semantic conventions 1.44.0, HTTP metrics";

/// The bounds that the HTTP conventions advise, in seconds.
const DURATION_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// How long calls took; over all tenants.
pub const HTTP_CLIENT_REQUEST_DURATION: Descriptor = Descriptor::histogram(
    "http.client.request.duration",
    Unit::Seconds,
    DURATION_SECONDS,
    "Duration of HTTP requests to other services, from the call to the head of the response.",
)
.labels(&["server.address", "http.request.method", "http.response.status_code", "error.type", "dependency"])
.convention(Stability::Stable, CONVENTION);

/// Calls that are under way; over all tenants.
pub const HTTP_CLIENT_ACTIVE_REQUESTS: Descriptor = Descriptor::up_down_counter(
    "http.client.active_requests",
    Unit::Count("{request}"),
    "HTTP requests to other services that wait for the head of their response.",
)
.labels(&["server.address", "dependency"])
.convention(Stability::Development, CONVENTION);

/// The time that a tenant's requests waited for other services.
pub const SAAS_TENANT_DEPENDENCY_TIME: Descriptor = Descriptor::counter(
    "saas.tenant.dependency.time",
    Unit::Seconds,
    "Time that HTTP requests to other services took for a tenant, summed over requests.",
)
.labels(&["dependency"])
.per_tenant();
