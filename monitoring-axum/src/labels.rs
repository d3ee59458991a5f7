//! The labels of what this crate records.

use std::borrow::Cow;

use monitoring_core::{LabelSet, LabelValue, RequestMethod, StatusCode, Symbol, Symbols};

use crate::grpc::GrpcStatus;

/// Labels of `http.server.request.duration`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) http_request_method: RequestMethod,
    pub(crate) http_route: Symbol,
    pub(crate) http_response_status_code: StatusCode,
    pub(crate) error_type: ErrorType,
}

/// Labels of `http.server.active_requests`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ActiveLabels {
    pub(crate) http_request_method: RequestMethod,
}

/// Labels of the body sizes, and of the time to the head.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct BodyLabels {
    pub(crate) http_route: Symbol,
}

/// Labels of `saas.tenant.request.duration`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct TenantDurationLabels {
    pub(crate) outcome: Outcome,
}

/// Labels of `saas.tenant.requests`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct TenantRequestLabels {
    pub(crate) outcome: Outcome,
    pub(crate) route_group: Symbol,
}

/// The method beside the status of the response. A route refuses every method that it does not have, so clients could make a
/// series of each: refused ones are folded.
pub(crate) fn answered(method: RequestMethod, status: Option<http::StatusCode>) -> RequestMethod {
    match status {
        Some(http::StatusCode::METHOD_NOT_ALLOWED) => RequestMethod::Other,
        _ => method,
    }
}

/// How a request went, as its tenant sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    Cancelled,
}

impl Outcome {
    /// As labels name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(status: http::StatusCode) -> Self {
        match status.as_u16() {
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
            _ => Self::Ok,
        }
    }
}

/// What made a request fail: a status of the server's own fault, or one of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorType(u16);

impl ErrorType {
    /// It did not fail.
    pub(crate) const NONE: Self = Self(0);
    /// The handler or the response body panicked.
    pub(crate) const PANIC: Self = Self(1);
    /// The client went away, or a layer outside gave up, before the response was complete.
    pub(crate) const CANCELLED: Self = Self(2);
    /// The response body ended with an error.
    pub(crate) const BODY: Self = Self(3);
    /// The service returned an error in place of a response.
    pub(crate) const SERVICE: Self = Self(4);
    /// A gRPC response ended without a status.
    pub(crate) const INCOMPLETE: Self = Self(5);
    /// The first of the gRPC codes, which are below every status.
    const GRPC: u16 = 16;

    /// A gRPC code that says that the server failed.
    pub(crate) fn grpc(code: u8) -> Self {
        Self(Self::GRPC + u16::from(code))
    }

    /// The status is the error where it says that the server failed, as the semantic conventions have it.
    pub(crate) fn of(status: http::StatusCode) -> Self {
        match status.as_u16() {
            code @ 500.. => Self(code),
            _ => Self::NONE,
        }
    }
}

impl LabelValue for ErrorType {
    const BITS: u32 = StatusCode::BITS;

    fn id(self) -> u64 {
        u64::from(self.0)
    }

    fn text(self, symbols: &Symbols) -> Cow<'_, str> {
        match self {
            Self::NONE => Cow::Borrowed(""),
            Self::PANIC => Cow::Borrowed("panic"),
            Self::CANCELLED => Cow::Borrowed("cancelled"),
            Self::BODY => Cow::Borrowed("body"),
            Self::SERVICE => Cow::Borrowed("service"),
            Self::INCOMPLETE => Cow::Borrowed("incomplete"),
            Self(code @ Self::GRPC..100) => Cow::Borrowed(GrpcStatus::name((code - Self::GRPC) as u8)),
            Self(code) => StatusCode::new(code).text(symbols),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_route_refused_is_folded() {
        let answered = |status| super::answered(RequestMethod::Delete, status);
        assert_eq!(answered(Some(http::StatusCode::METHOD_NOT_ALLOWED)), RequestMethod::Other);
        assert_eq!(answered(Some(http::StatusCode::NOT_FOUND)), RequestMethod::Delete);
        assert_eq!(answered(None), RequestMethod::Delete);
    }

    #[test]
    fn the_status_decides_on_outcome_and_error_type() {
        let of = |code| {
            let status = http::StatusCode::from_u16(code).unwrap();
            (Outcome::of(status), ErrorType::of(status))
        };
        assert_eq!(of(101), (Outcome::Ok, ErrorType::NONE));
        assert_eq!(of(200), (Outcome::Ok, ErrorType::NONE));
        assert_eq!(of(304), (Outcome::Ok, ErrorType::NONE));
        assert_eq!(of(404), (Outcome::ClientError, ErrorType::NONE));
        assert_eq!(of(503), (Outcome::ServerError, ErrorType(503)));
        assert_eq!(of(999), (Outcome::ServerError, ErrorType(999)));
    }
}
