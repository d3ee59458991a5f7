//! What can be wrong with a dependency: a word of a closed list, and a text for operators.

use std::borrow::Cow;
use std::error::Error;
use std::{fmt, io};

use crate::database::ErrorType;

/// The longest detail, in bytes.
const MAX_DETAIL: usize = 256;

/// What was wrong, as one of these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There was no answer in time.
    Timeout,
    /// The host's name is not known.
    NameNotResolved,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The connection broke.
    ConnectionLost,
    /// Another failure of the network or of a file.
    Io,
    /// The encrypted connection could not be made.
    Tls,
    /// The certificate is past its end.
    CertificateExpired,
    /// The certificate ends soon.
    CertificateExpiresSoon,
    /// The certificate does not come from an authority that is trusted, or is another host's.
    CertificateNotTrusted,
    /// The credentials are not accepted.
    AuthenticationFailed,
    /// The user may not do this.
    PermissionDenied,
    /// All connections of the pool are in use: the dependency itself may be well.
    PoolExhausted,
    /// The application has closed the pool.
    PoolClosed,
    /// It is there, but does not serve: starting, stopping, without a leader.
    Unavailable,
    /// It has no more of something: memory, connections.
    ResourceExhausted,
    /// There is little space left on the disk.
    LowSpace,
    /// The status of the answer is not one of those that were expected.
    UnexpectedStatus,
    /// The answer breaks the protocol.
    Protocol,
    /// The check cannot work as it is set up.
    Configuration,
    /// The check panicked.
    Panicked,
    /// None of these.
    Failed,
}

impl Reason {
    /// The word, such as `connection_refused`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NameNotResolved => "name_not_resolved",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionLost => "connection_lost",
            Self::Io => "io",
            Self::Tls => "tls",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateExpiresSoon => "certificate_expires_soon",
            Self::CertificateNotTrusted => "certificate_not_trusted",
            Self::AuthenticationFailed => "authentication_failed",
            Self::PermissionDenied => "permission_denied",
            Self::PoolExhausted => "pool_exhausted",
            Self::PoolClosed => "pool_closed",
            Self::Unavailable => "unavailable",
            Self::ResourceExhausted => "resource_exhausted",
            Self::LowSpace => "low_space",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Protocol => "protocol",
            Self::Configuration => "configuration",
            Self::Panicked => "panicked",
            Self::Failed => "failed",
        }
    }

    /// A problem for this reason, with a text for operators. Whoever writes the text answers for it: it must hold no
    /// secret, such as the password in a URL. What is longer than 256 bytes is cut.
    ///
    /// ```
    /// use monitoring_core::health::Reason;
    ///
    /// let problem = Reason::Unavailable.because("no leader is elected");
    /// assert_eq!(problem.to_string(), "unavailable: no leader is elected");
    /// ```
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Problem {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            let end = detail.floor_char_boundary(MAX_DETAIL);
            detail.to_mut().truncate(end);
        }
        Problem { reason: self, detail: Some(detail) }
    }

    fn of_io(error: &io::Error) -> Self {
        ErrorType::of_io(error.kind()).into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<ErrorType> for Reason {
    /// The same in the words of health checks.
    fn from(error: ErrorType) -> Self {
        match error {
            ErrorType::Timeout | ErrorType::Cancelled => Self::Timeout,
            ErrorType::ConnectionRefused => Self::ConnectionRefused,
            ErrorType::ConnectionLost => Self::ConnectionLost,
            ErrorType::Io => Self::Io,
            ErrorType::Tls => Self::Tls,
            ErrorType::AuthenticationFailed => Self::AuthenticationFailed,
            ErrorType::PermissionDenied => Self::PermissionDenied,
            ErrorType::Unavailable => Self::Unavailable,
            ErrorType::ResourceExhausted => Self::ResourceExhausted,
            ErrorType::Protocol | ErrorType::Decode => Self::Protocol,
            ErrorType::PoolTimeout => Self::PoolExhausted,
            ErrorType::PoolClosed => Self::PoolClosed,
            ErrorType::Configuration => Self::Configuration,
            _ => Self::Failed,
        }
    }
}

/// What is wrong with a dependency: a [`Reason`], and perhaps a text, which only operators see.
///
/// Every error becomes one with `?`. Then the reason is told by what the error says of the network; its **text is left
/// out**, because the errors of clients are known to quote URLs with their passwords. [`Reason::because`] adds a text that
/// is known to be harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    reason: Reason,
    detail: Option<Cow<'static, str>>,
}

impl Problem {
    /// What an error says, without its text: the first I/O error among its causes tells the reason, else it is
    /// [`Reason::Failed`].
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        // An error can be its own source.
        for _ in 0..32 {
            let Some(error) = cause else { break };
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Reason::of_io(io).into();
            }
            cause = error.source();
        }
        Reason::Failed.into()
    }

    /// What was wrong.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The text for operators.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

// For this `Problem` must not be an error itself.
impl<E: Error + 'static> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(formatter, "{}: {detail}", self.reason),
            None => self.reason.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect to postgres://app:hunter2@db/app")]
    struct Quoting(#[source] io::Error);

    #[test]
    fn an_error_becomes_a_reason_without_its_text() {
        let problem = Problem::from(Quoting(io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(problem.reason(), Reason::ConnectionRefused);
        assert!(!format!("{problem} {problem:?}").contains("hunter2"));
        assert_eq!(Problem::from(fmt::Error).reason(), Reason::Failed);
    }

    #[test]
    fn a_long_detail_is_cut_between_letters() {
        let problem = Reason::Failed.because("é".repeat(200) + "x");
        assert_eq!(problem.detail().map(str::len), Some(MAX_DETAIL));
        let odd = Reason::Failed.because(format!("x{}", "é".repeat(200)));
        assert_eq!(odd.detail().map(str::len), Some(MAX_DETAIL - 1));
    }
}
