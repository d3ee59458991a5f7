//! `/livez` and `/readyz`: the bare status for whoever asks, and the reasons for operators.

use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, StatusCode};
use monitoring_core::Monitoring;

/// An answer is of its moment.
const NO_STORE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Anybody: names of dependencies and reasons are none of their business.
    Public,
    /// Whoever may read the metrics.
    Operators,
}

/// Whether the process serves: it does, as this shows. What it depends on must not count here, or an orchestrator would
/// restart it for the fault of another.
pub(crate) async fn alive() -> Response {
    (StatusCode::OK, [NO_STORE]).into_response()
}

/// Whether the service takes requests.
pub(crate) fn ready(monitoring: &Monitoring, audience: Audience) -> Response {
    #[cfg(feature = "health")]
    if audience == Audience::Operators {
        return reasons::answer(monitoring);
    }
    #[cfg(not(feature = "health"))]
    let _ = audience;
    (status(monitoring.is_ready()), [NO_STORE]).into_response()
}

fn status(is_ready: bool) -> StatusCode {
    if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(feature = "health")]
mod reasons {
    use std::time::{SystemTime, UNIX_EPOCH};

    use axum::response::{IntoResponse, Response};
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;
    use monitoring_core::Monitoring;
    use monitoring_core::health::{CheckReport, HealthReport, Problem, Readiness};
    use serde::Serialize;

    use super::{NO_STORE, status};

    #[derive(Serialize)]
    struct Page<'a> {
        status: &'static str,
        service: &'a str,
        checks: Vec<Check<'a>>,
    }

    #[derive(Serialize)]
    struct Check<'a> {
        name: &'a str,
        status: &'static str,
        critical: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
        #[serde(flatten)]
        problem: Option<Trouble<'a>>,
        failures: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_failure: Option<Failure<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        age_seconds: Option<f64>,
    }

    #[derive(Serialize)]
    struct Trouble<'a> {
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    }

    #[derive(Serialize)]
    struct Failure<'a> {
        at: u64,
        #[serde(flatten)]
        problem: Trouble<'a>,
    }

    pub(super) fn answer(monitoring: &Monitoring) -> Response {
        let HealthReport { readiness, checks, .. } = monitoring.health_report();
        let page = Page {
            status: readiness.as_str(),
            service: monitoring.service_name(),
            checks: checks.iter().map(check).collect(),
        };
        let status = status(readiness == Readiness::Ready);
        // Texts and numbers can always be written.
        let body = serde_json::to_vec(&page).unwrap_or_default();
        (status, [NO_STORE, (CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    }

    fn check(report: &CheckReport) -> Check<'_> {
        let last_failure = report.last_failure.as_ref();
        Check {
            name: &report.name,
            status: report.status.as_str(),
            critical: report.is_critical,
            since: report.since.map(seconds),
            problem: report.problem.as_ref().map(trouble),
            failures: report.failures,
            last_failure: last_failure.map(|(problem, at)| Failure { at: seconds(*at), problem: trouble(problem) }),
            duration_seconds: report.duration.map(|duration| duration.as_secs_f64()),
            age_seconds: report.age.map(|age| age.as_secs_f64()),
        }
    }

    fn trouble(problem: &Problem) -> Trouble<'_> {
        Trouble { reason: problem.reason().as_str(), detail: problem.detail() }
    }

    /// Since 1970.
    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}
