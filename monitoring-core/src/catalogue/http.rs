//! HTTP, as a server sees it.

use super::{Descriptor, Stability, Unit};
use crate::tenant::Detail;

const CONVENTION: &str = "OpenTelemetry semantic conventions 1.44.0, HTTP metrics";

/// The bounds that the HTTP conventions advise, in seconds.
const DURATION_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Fewer bounds for what exists once per tenant: they keep the usual objectives (100 ms, 250 ms, 1 s) exact, and tell a fast tenant from a slow one.
const TENANT_DURATION_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 1.0, 5.0];

/// From a second to a working day, for connections that stay.
const CONNECTION_SECONDS: &[f64] = &[1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 28_800.0];

/// Powers of four from 64 B to 16 MiB.
const BODY_BYTES: &[f64] =
    &[64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// How long requests took, by route; over all tenants.
pub const HTTP_SERVER_REQUEST_DURATION: Descriptor = Descriptor::histogram(
    "http.server.request.duration",
    Unit::Seconds,
    DURATION_SECONDS,
    "Duration of HTTP requests, from the request head to the end of the response body.",
)
.labels(&["http.request.method", "http.route", "http.response.status_code", "error.type"])
.convention(Stability::Stable, CONVENTION);

/// Requests being answered.
pub const HTTP_SERVER_ACTIVE_REQUESTS: Descriptor = Descriptor::up_down_counter(
    "http.server.active_requests",
    Unit::Count("{request}"),
    "HTTP requests that are being answered.",
)
.labels(&["http.request.method"])
.convention(Stability::Development, CONVENTION);

/// How large request bodies were.
pub const HTTP_SERVER_REQUEST_BODY_SIZE: Descriptor = Descriptor::histogram(
    "http.server.request.body.size",
    Unit::Bytes,
    BODY_BYTES,
    "Size of HTTP request bodies: the declared length, or what was read where none was declared.",
)
.labels(&["http.route"])
.convention(Stability::Development, CONVENTION);

/// How large response bodies were.
pub const HTTP_SERVER_RESPONSE_BODY_SIZE: Descriptor = Descriptor::histogram(
    "http.server.response.body.size",
    Unit::Bytes,
    BODY_BYTES,
    "Size of HTTP response bodies, as far as they were sent.",
)
.labels(&["http.route"])
.convention(Stability::Development, CONVENTION);

/// How long the heads of streamed responses took.
pub const SAAS_HTTP_SERVER_TIME_TO_HEAD: Descriptor = Descriptor::histogram(
    "saas.http.server.time_to_head",
    Unit::Seconds,
    DURATION_SECONDS,
    "Time from the request head to the response head, of responses whose body is streamed.",
)
.labels(&["http.route"]);

/// Connections that have left HTTP.
pub const SAAS_HTTP_UPGRADED_CONNECTIONS: Descriptor = Descriptor::up_down_counter(
    "saas.http.upgraded_connections",
    Unit::Count("{connection}"),
    "Connections that were upgraded, to a WebSocket or a tunnel, and are open.",
)
.labels(&["protocol"]);

/// How long connections lasted that have left HTTP.
pub const SAAS_HTTP_UPGRADED_CONNECTION_DURATION: Descriptor = Descriptor::histogram(
    "saas.http.upgraded_connection.duration",
    Unit::Seconds,
    CONNECTION_SECONDS,
    "Life of upgraded connections, from the upgrade to their end.",
)
.labels(&["protocol"]);

/// How long gRPC calls took.
pub const RPC_SERVER_CALL_DURATION: Descriptor = Descriptor::histogram(
    "rpc.server.call.duration",
    Unit::Seconds,
    DURATION_SECONDS,
    "Duration of gRPC calls, from the request head to the trailers.",
)
.labels(&["rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"])
.convention(Stability::Development, "OpenTelemetry semantic conventions 1.44.0, RPC metrics");

/// How long a tenant's requests took.
pub const SAAS_TENANT_REQUEST_DURATION: Descriptor = Descriptor::histogram(
    "saas.tenant.request.duration",
    Unit::Seconds,
    TENANT_DURATION_SECONDS,
    "Duration of a tenant's HTTP requests by outcome.",
)
.labels(&["outcome"])
.per_tenant()
.detail(Detail::Summary);

/// How many requests a tenant made.
pub const SAAS_TENANT_REQUESTS: Descriptor = Descriptor::counter(
    "saas.tenant.requests",
    Unit::Count("{request}"),
    "HTTP requests of a tenant by outcome and group of routes.",
)
.labels(&["outcome", "route_group"])
.per_tenant()
.detail(Detail::Summary);

/// How content a tenant's requests left those who waited.
pub const SAAS_TENANT_APDEX_REQUESTS: Descriptor = Descriptor::counter(
    "saas.tenant.apdex.requests",
    Unit::Count("{request}"),
    "HTTP requests of a tenant by Apdex class: satisfied, tolerating or frustrated.",
)
.labels(&["apdex"])
.per_tenant()
.detail(Detail::Summary);

/// What rate limiters decided.
pub const SAAS_RATELIMIT_DECISIONS: Descriptor = Descriptor::counter(
    "saas.ratelimit.decisions",
    Unit::Count("{decision}"),
    "Requests of a tenant that a rate limiter let pass or refused.",
)
.labels(&["limiter", "decision"])
.per_tenant()
.detail(Detail::Summary);
