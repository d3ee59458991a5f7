//! The labels of database metrics: closed sets, so that no query, key, value or message can become one.

use std::io;

use crate::{LabelSet, LabelValue, Symbol};

/// A database system; label `db_system_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[non_exhaustive]
pub enum System {
    /// PostgreSQL.
    Postgresql,
    /// SQLite.
    Sqlite,
    /// MySQL, and MariaDB, which is spoken to by the same driver.
    Mysql,
    /// Redis, and the servers that speak its protocol.
    Redis,
}

/// Why an operation failed; label `error_type`. The same words for all systems, so that one alert covers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[non_exhaustive]
pub enum ErrorType {
    /// It did not fail: the label is absent.
    #[label("")]
    None,
    /// Its future was dropped before the end. The server may have done the work.
    Cancelled,
    /// It took longer than the client allowed.
    Timeout,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The connection broke while it was in use.
    ConnectionLost,
    /// Another failure of the network or of a file.
    Io,
    /// The encrypted connection could not be made.
    Tls,
    /// The server did not accept the credentials.
    AuthenticationFailed,
    /// The user may not do this.
    PermissionDenied,
    /// The server did not understand the request: syntax, unknown name, wrong type, wrong arguments.
    InvalidRequest,
    /// The data would break a rule of the schema.
    ConstraintViolation,
    /// Another writer came first: serialization failure, deadlock, watched key changed.
    Conflict,
    /// What was asked for is not there: a row, a script, a consumer group.
    NotFound,
    /// A write to a server, or in a transaction, that only reads.
    ReadOnly,
    /// The server is there but does not serve: starting, stopping, cluster down.
    Unavailable,
    /// The server has no more of something: memory, disk, connections.
    ResourceExhausted,
    /// The data lives on another node.
    Redirected,
    /// The reply breaks the protocol.
    Protocol,
    /// The reply is not of the type that was asked for.
    Decode,
    /// No connection of the pool became free in time.
    PoolTimeout,
    /// The pool is closed.
    PoolClosed,
    /// The client is configured for something that it or the server cannot do.
    Configuration,
    /// None of these.
    #[label("_OTHER")]
    Other,
}

impl System {
    /// The word that the label has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Sqlite => "sqlite",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
        }
    }
}

impl ErrorType {
    /// The word that the label has; empty for [`None`](Self::None).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionLost => "connection_lost",
            Self::Io => "io",
            Self::Tls => "tls",
            Self::AuthenticationFailed => "authentication_failed",
            Self::PermissionDenied => "permission_denied",
            Self::InvalidRequest => "invalid_request",
            Self::ConstraintViolation => "constraint_violation",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::ReadOnly => "read_only",
            Self::Unavailable => "unavailable",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Redirected => "redirected",
            Self::Protocol => "protocol",
            Self::Decode => "decode",
            Self::PoolTimeout => "pool_timeout",
            Self::PoolClosed => "pool_closed",
            Self::Configuration => "configuration",
            Self::Other => "_OTHER",
        }
    }

    /// The class of an input or output error.
    ///
    /// ```
    /// use monitoring_core::database::ErrorType;
    ///
    /// assert_eq!(ErrorType::of_io(std::io::ErrorKind::TimedOut), ErrorType::Timeout);
    /// ```
    pub fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            // A socket file that is not there is a server that is not there.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::ConnectionRefused,
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::ConnectionLost,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            _ => Self::Io,
        }
    }
}

/// The labels of `db.client.operation.duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct OperationLabels {
    /// The system that did it.
    pub(super) db_system_name: System,
    /// The operation: a name from the instrument's allow-list.
    pub(super) db_operation_name: Symbol,
    /// The table that it is about, absent if there is none, or more than one.
    pub(super) db_collection_name: Symbol,
    /// Why it failed, absent if it did not.
    pub(super) error_type: ErrorType,
}

/// The labels of `saas.tenant.db.time`, besides the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct SystemLabels {
    /// The system that worked for the tenant.
    pub(super) db_system_name: System,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_labels() {
        let symbols = crate::Symbols::new();
        for system in [System::Postgresql, System::Sqlite, System::Mysql, System::Redis] {
            assert_eq!(system.as_str(), system.text(&symbols));
        }
        let errors = [
            ErrorType::None,
            ErrorType::Cancelled,
            ErrorType::Timeout,
            ErrorType::ConnectionRefused,
            ErrorType::ConnectionLost,
            ErrorType::Io,
            ErrorType::Tls,
            ErrorType::AuthenticationFailed,
            ErrorType::PermissionDenied,
            ErrorType::InvalidRequest,
            ErrorType::ConstraintViolation,
            ErrorType::Conflict,
            ErrorType::NotFound,
            ErrorType::ReadOnly,
            ErrorType::Unavailable,
            ErrorType::ResourceExhausted,
            ErrorType::Redirected,
            ErrorType::Protocol,
            ErrorType::Decode,
            ErrorType::PoolTimeout,
            ErrorType::PoolClosed,
            ErrorType::Configuration,
            ErrorType::Other,
        ];
        for error in errors {
            assert_eq!(error.as_str(), error.text(&symbols));
        }
    }
}
