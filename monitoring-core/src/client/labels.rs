//! The labels of calls.

use std::borrow::Cow;

use super::failure::ClientError;
use crate::{LabelSet, LabelValue, RequestMethod, StatusCode, Symbol, Symbols};

/// Labels of `http.client.request.duration`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct CallLabels {
    pub(super) server_address: Symbol,
    pub(super) http_request_method: RequestMethod,
    pub(super) http_response_status_code: StatusCode,
    pub(super) error_type: ErrorType,
    pub(super) dependency: Symbol,
}

/// Labels of `http.client.active_requests`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ActiveLabels {
    pub(super) server_address: Symbol,
    pub(super) dependency: Symbol,
}

/// Labels of `saas.tenant.dependency.time`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct DependencyLabels {
    pub(super) dependency: Symbol,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a response of that status.
    Response(http::StatusCode),
    /// With an error in its place.
    Failed(ClientError),
    /// Its future was dropped.
    Cancelled,
}

impl End {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Response(status) => StatusCode::new(status.as_u16()),
            Self::Failed(_) | Self::Cancelled => StatusCode::ABSENT,
        }
    }
}

/// A status that is an error, as the conventions have it for clients, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorType(u16);

/// No status is below 100, so the words are.
const WORDS: [&str; 12] = [
    "",
    "cancelled",
    "dns",
    "connect",
    "connect_timeout",
    "tls",
    "timeout",
    "connection_lost",
    "protocol",
    "redirect",
    "request",
    "_OTHER",
];

impl From<End> for ErrorType {
    fn from(end: End) -> Self {
        Self(match end {
            End::Response(status) if status.as_u16() >= 400 => status.as_u16(),
            End::Response(_) => 0,
            End::Cancelled => 1,
            End::Failed(ClientError::Dns) => 2,
            End::Failed(ClientError::Connect) => 3,
            End::Failed(ClientError::ConnectTimeout) => 4,
            End::Failed(ClientError::Tls) => 5,
            End::Failed(ClientError::Timeout) => 6,
            End::Failed(ClientError::ConnectionLost) => 7,
            End::Failed(ClientError::Protocol) => 8,
            End::Failed(ClientError::Redirect) => 9,
            End::Failed(ClientError::Request) => 10,
            End::Failed(ClientError::Other) => 11,
        })
    }
}

impl LabelValue for ErrorType {
    const BITS: u32 = StatusCode::BITS;

    fn id(self) -> u64 {
        u64::from(self.0)
    }

    fn text(self, symbols: &Symbols) -> Cow<'_, str> {
        match WORDS.get(usize::from(self.0)) {
            Some(word) => Cow::Borrowed(word),
            None => StatusCode::new(self.0).text(symbols),
        }
    }
}
