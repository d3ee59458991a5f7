//! What the service depends on, and whether it is there; what an autoscaler looks at.

use super::{Descriptor, Unit};

/// A check is meant to take milliseconds, and is ended after a second or two.
const CHECK_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Whether a dependency is there.
pub const SAAS_DEPENDENCY_UP: Descriptor = Descriptor::gauge(
    "saas.dependency.up",
    Unit::Count("{dependency}"),
    "Whether the last check of a dependency passed: 1 or 0.",
)
.labels(&["dependency", "critical"]);

/// How long checks of dependencies take.
pub const SAAS_DEPENDENCY_CHECK_DURATION: Descriptor = Descriptor::histogram(
    "saas.dependency.check.duration",
    Unit::Seconds,
    CHECK_SECONDS,
    "Duration of the checks of a dependency, passed and failed ones.",
)
.labels(&["dependency", "critical"]);

/// When the certificate of an endpoint ends.
pub const SAAS_TLS_CERTIFICATE_NOT_AFTER: Descriptor = Descriptor::gauge(
    "saas.tls.certificate.not_after.timestamp",
    Unit::Seconds,
    "When the certificate that a TLS endpoint shows ceases to be valid, in seconds since 1970.",
)
.labels(&["endpoint"]);

/// How much there is to do, for this replica.
pub const SAAS_AUTOSCALE_SIGNAL: Descriptor = Descriptor::gauge(
    "saas.autoscale.signal",
    Unit::Count("{signal}"),
    "How much there is to do, as an autoscaler looks at it: requests in flight, seconds that the oldest job has waited.",
)
.labels(&["signal"]);
