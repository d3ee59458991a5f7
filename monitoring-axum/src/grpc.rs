//! gRPC: how a call went is not in the HTTP status but in `grpc-status`, a header where there is no message, else a
//! trailer.

use std::borrow::Cow;

use axum::extract::MatchedPath;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Version};
use monitoring_core::{LabelSet, LabelValue, Symbol, Symbols};

use crate::labels::{ErrorType, Outcome};
use crate::record::HttpServer;
use crate::settings::Settings;

/// Labels of `rpc.server.call.duration`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct RpcLabels {
    pub(crate) rpc_system_name: RpcSystem,
    pub(crate) rpc_method: Symbol,
    pub(crate) rpc_response_status_code: GrpcStatus,
    pub(crate) error_type: ErrorType,
}

/// The protocol of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum RpcSystem {
    #[label("grpc")]
    Grpc,
}

/// A gRPC call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// `package.Service/Method`, or `_OTHER`.
    pub(crate) method: Symbol,
}

impl Call {
    /// The call that a request is, if it is one. gRPC-Web is not: it hides the status in the body.
    pub(crate) fn of<B>(request: &Request<B>, settings: &Settings, instruments: &HttpServer) -> Option<Self> {
        if request.version() != Version::HTTP_2 || request.method() != Method::POST {
            return None;
        }
        let rest = request.headers().get(CONTENT_TYPE)?.as_bytes().strip_prefix(b"application/grpc")?;
        matches!(rest.first(), None | Some(b'+' | b';'))
            .then(|| Self { method: method(request, settings, instruments) })
    }
}

/// The method of a call. Clients write the path, so it is named only where the application has named it: on its list, or
/// as a route without parameters.
fn method<B>(request: &Request<B>, settings: &Settings, instruments: &HttpServer) -> Symbol {
    let path = request.uri().path();
    let is_route = || request.extensions().get::<MatchedPath>().is_some_and(|matched| matched.as_str() == path);
    match path.strip_prefix('/') {
        Some(method) if settings.grpc_methods.contains(method) || is_route() => instruments.symbol(method),
        _ => instruments.other_method,
    }
}

/// The status of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrpcStatus(u8);

/// The names of the codes, in their order.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// There was none.
    pub(crate) const ABSENT: Self = Self(NAMES.len() as u8);
    const CANCELLED: Self = Self(1);
    const UNKNOWN: Self = Self(2);

    /// The status in a response's head or trailers. What is no known code is UNKNOWN, as for clients.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok().and_then(|text| text.parse().ok());
        Some(code.filter(|code| usize::from(*code) < NAMES.len()).map_or(Self::UNKNOWN, Self))
    }

    /// The codes that the semantic conventions take for failures of the server are that; the others are the client's.
    pub(crate) fn outcome(self) -> Outcome {
        match self.0 {
            0 => Outcome::Ok,
            code if code == Self::CANCELLED.0 => Outcome::Cancelled,
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
            2 | 4 | 12..=15 => Outcome::ServerError,
            _ => Outcome::ClientError,
        }
    }

    pub(crate) fn error_type(self) -> ErrorType {
        match self.outcome() {
            Outcome::ServerError => ErrorType::grpc(self.0),
            Outcome::Cancelled => ErrorType::CANCELLED,
            Outcome::Ok | Outcome::ClientError => ErrorType::NONE,
        }
    }

    /// The name of a code; empty for none.
    pub(crate) fn name(code: u8) -> &'static str {
        NAMES.get(usize::from(code)).copied().unwrap_or_default()
    }
}

impl LabelValue for GrpcStatus {
    const BITS: u32 = 5;

    fn id(self) -> u64 {
        u64::from(self.0)
    }

    fn text(self, _symbols: &Symbols) -> Cow<'_, str> {
        Cow::Borrowed(Self::name(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> GrpcStatus {
        GrpcStatus::of(&HeaderMap::from_iter([("grpc-status".parse().unwrap(), text.parse().unwrap())])).unwrap()
    }

    #[test]
    fn the_code_decides_whose_fault_it_is() {
        let of = |outcome| -> Vec<_> {
            (0..17).map(|code: u8| status(&code.to_string())).filter(|code| code.outcome() == outcome).collect()
        };
        let named = |outcome| -> Vec<_> { of(outcome).iter().map(|code| GrpcStatus::name(code.0)).collect() };
        assert_eq!(named(Outcome::Ok), ["OK"]);
        assert_eq!(named(Outcome::Cancelled), ["CANCELLED"]);
        let server = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(named(Outcome::ServerError), server);
        assert_eq!(of(Outcome::ClientError).len(), 9);
    }

    #[test]
    fn what_is_no_code_is_unknown() {
        for odd in ["17", "255", "256", "-1", "", "OK", "0x0"] {
            assert_eq!(status(odd), GrpcStatus::UNKNOWN, "{odd}");
        }
        assert_eq!(GrpcStatus::of(&HeaderMap::new()), None);
    }
}
