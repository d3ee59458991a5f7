//! What kind of error a request ended with: a class of the shared list, never the error's text.

use deadpool_redis::redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};
use monitoring_core::database::ErrorType;

use crate::PoolError;

/// The label `error_type` of a request for a connection that got none.
pub(crate) fn of_pool_error(error: &PoolError) -> ErrorType {
    match error {
        PoolError::Connect { source, .. } => of_error(source),
        PoolError::Timeout { .. } => ErrorType::PoolTimeout,
        PoolError::Closed { .. } => ErrorType::PoolClosed,
        PoolError::Refused { .. } => ErrorType::Other,
    }
}

/// The server's errors come as values, anywhere within a reply; the caller gets the first one as the error.
pub(crate) fn of_reply(value: &Value) -> Option<ErrorType> {
    match value {
        Value::ServerError(error) => Some(of_server_error(error)),
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            values.iter().find_map(of_reply)
        }
        Value::Map(entries) => entries.iter().find_map(|(key, value)| of_reply(key).or_else(|| of_reply(value))),
        Value::Attribute { data, .. } => of_reply(data),
        _ => None,
    }
}

/// The class of an error of the client. Its text is not looked at but for the server's code.
pub(crate) fn of_error(error: &RedisError) -> ErrorType {
    match error.kind() {
        ErrorKind::Server(kind) => of_kind(kind, error.detail()),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        ErrorKind::Io if error.is_timeout() => ErrorType::Timeout,
        ErrorKind::Io if error.is_connection_refusal() => ErrorType::ConnectionRefused,
        ErrorKind::Io if error.is_connection_dropped() => ErrorType::ConnectionLost,
        ErrorKind::Io => ErrorType::Io,
        ErrorKind::Parse => ErrorType::Protocol,
        ErrorKind::UnexpectedReturnType => ErrorType::Decode,
        ErrorKind::AuthenticationFailed => ErrorType::AuthenticationFailed,
        ErrorKind::Client => ErrorType::InvalidRequest,
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported | ErrorKind::EmptySentinelList => {
            ErrorType::Configuration
        }
        ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::ClusterConnectionNotFound => ErrorType::Unavailable,
        _ => ErrorType::Other,
    }
}

fn of_server_error(error: &ServerError) -> ErrorType {
    match error.kind() {
        Some(kind) => of_kind(kind, error.details()),
        None => of_code(error.code()),
    }
}

fn of_kind(kind: ServerErrorKind, detail: Option<&str>) -> ErrorType {
    match kind {
        // `ERR` is the server's code for everything that has no code of its own.
        ServerErrorKind::ResponseError if detail.is_some_and(|detail| detail.starts_with("max number of clients")) => {
            ErrorType::ResourceExhausted
        }
        ServerErrorKind::ResponseError
        | ServerErrorKind::ExecAbort
        | ServerErrorKind::CrossSlot
        | ServerErrorKind::NotBusy
        | ServerErrorKind::NoSub => ErrorType::InvalidRequest,
        ServerErrorKind::BusyLoading
        | ServerErrorKind::TryAgain
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::MasterDown => ErrorType::Unavailable,
        ServerErrorKind::Moved | ServerErrorKind::Ask => ErrorType::Redirected,
        ServerErrorKind::NoScript => ErrorType::NotFound,
        ServerErrorKind::ReadOnly => ErrorType::ReadOnly,
        ServerErrorKind::NoPerm => ErrorType::PermissionDenied,
        _ => ErrorType::Other,
    }
}

/// The codes that the client has no name for. A script can answer with a code of its own, so the rest is one class.
fn of_code(code: &str) -> ErrorType {
    match code {
        "WRONGTYPE" => ErrorType::InvalidRequest,
        "OOM" => ErrorType::ResourceExhausted,
        "NOAUTH" | "WRONGPASS" => ErrorType::AuthenticationFailed,
        "BUSY" | "MISCONF" | "NOREPLICAS" | "NOQUORUM" => ErrorType::Unavailable,
        "BUSYKEY" | "BUSYGROUP" => ErrorType::Conflict,
        "NOGROUP" => ErrorType::NotFound,
        _ => ErrorType::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use deadpool_redis::redis::{make_extension_error, parse_redis_value};

    use super::*;

    fn class_of_reply(reply: &str) -> Option<ErrorType> {
        of_reply(&parse_redis_value(reply.as_bytes()).unwrap())
    }

    #[test]
    fn an_error_reply_is_classified_by_its_code() {
        let classes = [
            ("ERR unknown command 'FOO'", ErrorType::InvalidRequest),
            ("ERR max number of clients reached", ErrorType::ResourceExhausted),
            ("WRONGTYPE Operation against a key", ErrorType::InvalidRequest),
            ("EXECABORT Transaction discarded", ErrorType::InvalidRequest),
            ("OOM command not allowed", ErrorType::ResourceExhausted),
            ("NOAUTH Authentication required.", ErrorType::AuthenticationFailed),
            ("WRONGPASS invalid username-password pair", ErrorType::AuthenticationFailed),
            ("NOPERM this user has no permissions", ErrorType::PermissionDenied),
            ("LOADING Redis is loading the dataset in memory", ErrorType::Unavailable),
            ("CLUSTERDOWN Hash slot not served", ErrorType::Unavailable),
            ("MISCONF Redis is configured to save", ErrorType::Unavailable),
            ("MOVED 3999 127.0.0.1:6381", ErrorType::Redirected),
            ("ASK 3999 127.0.0.1:6381", ErrorType::Redirected),
            ("NOSCRIPT No matching script", ErrorType::NotFound),
            ("READONLY You can't write against a read only replica.", ErrorType::ReadOnly),
            ("BUSYGROUP Consumer Group name already exists", ErrorType::Conflict),
            ("TENANT42 an error of a script", ErrorType::Other),
        ];
        for (reply, class) in classes {
            assert_eq!(class_of_reply(&format!("-{reply}\r\n")), Some(class), "{reply}");
        }
    }

    #[test]
    fn an_error_is_found_wherever_it_is_in_a_reply() {
        assert_eq!(class_of_reply("*2\r\n+OK\r\n*1\r\n-NOSCRIPT gone\r\n"), Some(ErrorType::NotFound));
        assert_eq!(class_of_reply("%1\r\n+key\r\n-OOM full\r\n"), Some(ErrorType::ResourceExhausted));
        assert_eq!(class_of_reply("*2\r\n+OK\r\n*1\r\n$-1\r\n"), None);
    }

    #[test]
    fn an_error_of_the_network_is_classified_by_what_broke() {
        let classes = [
            (io::ErrorKind::TimedOut, ErrorType::Timeout),
            (io::ErrorKind::ConnectionRefused, ErrorType::ConnectionRefused),
            (io::ErrorKind::ConnectionReset, ErrorType::ConnectionLost),
            (io::ErrorKind::BrokenPipe, ErrorType::ConnectionLost),
            (io::ErrorKind::HostUnreachable, ErrorType::Io),
        ];
        for (kind, class) in classes {
            assert_eq!(of_error(&RedisError::from(io::Error::from(kind))), class, "{kind:?}");
        }
    }

    #[test]
    fn an_error_of_the_client_is_classified_by_its_kind() {
        let of = |kind: ErrorKind| of_error(&RedisError::from((kind, "text")));
        assert_eq!(of(ErrorKind::Parse), ErrorType::Protocol);
        assert_eq!(of(ErrorKind::UnexpectedReturnType), ErrorType::Decode);
        assert_eq!(of(ErrorKind::AuthenticationFailed), ErrorType::AuthenticationFailed);
        assert_eq!(of(ErrorKind::InvalidClientConfig), ErrorType::Configuration);
        assert_eq!(of(ErrorKind::NoValidReplicasFoundBySentinel), ErrorType::Unavailable);
        assert_eq!(of_error(&make_extension_error("OOM".into(), None)), ErrorType::ResourceExhausted);
    }
}
