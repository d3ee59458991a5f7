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
        _ => DB::error_type(error),
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
        Some("0A" | "22" | "24" | "25" | "26" | "34" | "3D" | "3F" | "42" | "54" | "55") => ErrorType::InvalidRequest,
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

/// The class of an error number of MySQL and MariaDB. Its SQLSTATE says less: most are `HY000`.
#[cfg(feature = "mysql")]
pub(crate) fn mysql_type(number: u16) -> ErrorType {
    match number {
        // Access denied to the server or to a database, as is, without a password, and by a plugin.
        1044 | 1045 | 1698 | 2059 | 3118 | 4151 => ErrorType::AuthenticationFailed,
        // Access denied to a statement, a table, a column, a routine, for want of a privilege.
        1142 | 1143 | 1227 | 1370 => ErrorType::PermissionDenied,
        // Duplicate values and broken checks that sqlx has no kind for.
        1364 | 1557 | 3819 | 4025 => ErrorType::ConstraintViolation,
        // Deadlock; record changed since it was read.
        1020 | 1213 | 1614 | 3101 | 3572 => ErrorType::Conflict,
        // Lock wait; execution time, of MySQL and of MariaDB; interrupted, as by KILL QUERY or a time-out.
        1205 | 1317 | 1969 | 3024 => ErrorType::Timeout,
        // Server or transaction that only reads.
        1290 | 1792 | 1836 => ErrorType::ReadOnly,
        // Too many connections, of all or of one user; memory; disk; table full; too many locks; too many files.
        1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1135 | 1203 | 1206 | 1226 | 1461 => ErrorType::ResourceExhausted,
        // Shutdown; connection killed; host blocked.
        1053 | 1129 | 1927 | 3169 => ErrorType::Unavailable,
        1152 | 1158 | 1159 | 1160 | 1161 | 1184 | 2006 | 2013 | 4031 => ErrorType::ConnectionLost,
        // Files, and storage engines that cannot read them.
        1004..=1019 | 1024 | 1026 | 1030 | 1034 | 1035 | 1194 | 1195 => ErrorType::Io,
        // Unknown database, table, column, routine; syntax; wrong value; missing argument; out of range; too long.
        1046
        | 1049
        | 1051
        | 1052
        | 1054..=1058
        | 1060
        | 1061
        | 1064..=1068
        | 1091
        | 1103
        | 1109
        | 1111
        | 1136
        | 1146
        | 1149
        | 1210
        | 1222
        | 1235
        | 1241
        | 1242
        | 1264
        | 1265
        | 1292
        | 1305
        | 1318
        | 1365
        | 1366
        | 1406
        | 1411
        | 1582
        | 1690
        | 3140
        | 4038 => ErrorType::InvalidRequest,
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
            ("26000", ErrorType::InvalidRequest),
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
    fn an_error_number_of_mysql_is_told_by_what_an_operator_does_about_it() {
        let classes = [
            (1045, ErrorType::AuthenticationFailed),
            (1142, ErrorType::PermissionDenied),
            (1213, ErrorType::Conflict),
            (1205, ErrorType::Timeout),
            (1969, ErrorType::Timeout),
            (3024, ErrorType::Timeout),
            (1792, ErrorType::ReadOnly),
            (1040, ErrorType::ResourceExhausted),
            (1053, ErrorType::Unavailable),
            (1146, ErrorType::InvalidRequest),
            (1064, ErrorType::InvalidRequest),
            (9999, ErrorType::Other),
        ];
        for (number, class) in classes {
            assert_eq!(mysql_type(number), class, "{number}");
        }
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
