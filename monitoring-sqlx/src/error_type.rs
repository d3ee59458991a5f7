//! What kind of error an operation ended with: a class of the shared list, never the error's text.

use monitoring_core::database::ErrorType;
use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};

use crate::database::Driver;

/// The label `error_type` of an error.
pub(crate) fn error_type<DB: Driver>(error: &Error) -> ErrorType {
    match error {
        Error::Database(error) => database_error_type::<DB>(error.as_ref()),
        Error::Io(error) => ErrorType::of_io(error.kind()),
        Error::Tls(_) => ErrorType::Tls,
        Error::Protocol(_) => ErrorType::Protocol,
        Error::WorkerCrashed => ErrorType::ConnectionLost,
        Error::PoolTimedOut => ErrorType::PoolTimeout,
        Error::PoolClosed => ErrorType::PoolClosed,
        Error::Configuration(_) | Error::ConfigFile(_) => ErrorType::Configuration,
        Error::RowNotFound => ErrorType::NotFound,
        Error::Encode(_)
        | Error::InvalidArgument(_)
        | Error::TypeNotFound { .. }
        | Error::InvalidSavePointStatement
        | Error::BeginFailed => ErrorType::InvalidRequest,
        Error::Decode(_)
        | Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnIndexOutOfBounds { .. } => ErrorType::Decode,
        _ => ErrorType::Other,
    }
}

fn database_error_type<DB: Driver>(error: &dyn DatabaseError) -> ErrorType {
    match error.kind() {
        ErrorKind::UniqueViolation
        | ErrorKind::ForeignKeyViolation
        | ErrorKind::NotNullViolation
        | ErrorKind::CheckViolation
        | ErrorKind::ExclusionViolation => ErrorType::ConstraintViolation,
        _ => error.code().map_or(ErrorType::Other, |code| DB::error_type(&code)),
    }
}

/// The class of a SQLSTATE, by the code itself where operators act on it, else by its first two characters.
#[cfg(feature = "postgres")]
pub(crate) fn sqlstate_type(code: &str) -> ErrorType {
    match code {
        // Raised at the start of a session, before there is a connection to lose.
        "08001" | "08004" => return ErrorType::ConnectionRefused,
        "25006" => return ErrorType::ReadOnly,
        "42501" => return ErrorType::PermissionDenied,
        "55006" | "55P03" => return ErrorType::Conflict,
        // A statement or lock took longer than a setting allows, or someone cancelled it: the text alone tells which.
        "25P03" | "57014" => return ErrorType::Timeout,
        "58030" => return ErrorType::Io,
        "P0002" => return ErrorType::NotFound,
        _ => {}
    }
    match code.get(..2) {
        Some("08") => ErrorType::ConnectionLost,
        Some("0A" | "22" | "25" | "3D" | "3F" | "42" | "54" | "55") => ErrorType::InvalidRequest,
        Some("23") => ErrorType::ConstraintViolation,
        Some("28") => ErrorType::AuthenticationFailed,
        Some("40") => ErrorType::Conflict,
        Some("53") => ErrorType::ResourceExhausted,
        Some("57") => ErrorType::Unavailable,
        _ => ErrorType::Other,
    }
}

/// The class of an extended result code of SQLite, whose last byte is the primary code.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_type(code: &str) -> ErrorType {
    let Ok(code) = code.parse::<i32>() else { return ErrorType::Other };
    match code & 0xff {
        // SQLITE_ERROR, TOOBIG, MISMATCH, MISUSE, RANGE
        1 | 18 | 20 | 21 | 25 => ErrorType::InvalidRequest,
        // PERM, AUTH
        3 | 23 => ErrorType::PermissionDenied,
        // BUSY, LOCKED, PROTOCOL
        5 | 6 | 15 => ErrorType::Conflict,
        // NOMEM, FULL
        7 | 13 => ErrorType::ResourceExhausted,
        // READONLY
        8 => ErrorType::ReadOnly,
        // INTERRUPT
        9 => ErrorType::Timeout,
        // IOERR, CORRUPT, CANTOPEN, NOTADB
        10 | 11 | 14 | 26 => ErrorType::Io,
        // CONSTRAINT
        19 => ErrorType::ConstraintViolation,
        _ => ErrorType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlstate_is_told_by_its_code_or_else_by_its_class() {
        let classes = [
            ("08001", ErrorType::ConnectionRefused),
            ("08006", ErrorType::ConnectionLost),
            ("22012", ErrorType::InvalidRequest),
            ("25006", ErrorType::ReadOnly),
            ("25P02", ErrorType::InvalidRequest),
            ("28P01", ErrorType::AuthenticationFailed),
            ("40P01", ErrorType::Conflict),
            ("42501", ErrorType::PermissionDenied),
            ("42P01", ErrorType::InvalidRequest),
            ("53300", ErrorType::ResourceExhausted),
            ("55P03", ErrorType::Conflict),
            ("57014", ErrorType::Timeout),
            ("57P01", ErrorType::Unavailable),
            ("P0001", ErrorType::Other),
        ];
        for (code, class) in classes {
            assert_eq!(sqlstate_type(code), class, "{code}");
        }
    }

    #[test]
    fn an_odd_code_is_other() {
        for code in ["", "4", "éé", "ZZ999"] {
            assert_eq!(sqlstate_type(code), ErrorType::Other, "{code:?}");
        }
        assert_eq!(sqlite_type("not a number"), ErrorType::Other);
        assert_eq!(sqlite_type("16"), ErrorType::Other);
    }

    #[test]
    fn the_extended_codes_of_sqlite_have_the_class_of_their_primary_code() {
        assert_eq!(sqlite_type("5"), ErrorType::Conflict);
        assert_eq!(sqlite_type("517"), ErrorType::Conflict);
        assert_eq!(sqlite_type("2835"), ErrorType::ConstraintViolation);
    }

    #[test]
    fn what_sqlx_reports_itself_is_told_by_its_variant() {
        let of = error_type::<sqlx::Sqlite>;
        assert_eq!(of(&Error::PoolTimedOut), ErrorType::PoolTimeout);
        assert_eq!(of(&Error::PoolClosed), ErrorType::PoolClosed);
        assert_eq!(of(&Error::RowNotFound), ErrorType::NotFound);
        assert_eq!(of(&Error::Protocol("secret".into())), ErrorType::Protocol);
        assert_eq!(of(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()), ErrorType::ConnectionLost);
        assert_eq!(of(&Error::Tls("secret".into())), ErrorType::Tls);
        assert_eq!(of(&Error::ColumnNotFound("secret".into())), ErrorType::Decode);
        assert_eq!(of(&Error::BeginFailed), ErrorType::InvalidRequest);
    }
}
