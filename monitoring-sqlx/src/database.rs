//! The databases whose connections can be measured.

use monitoring_core::database::{ErrorType, System};
use sqlx::{Connection, Database, Executor};

/// A database whose connections can be measured: `sqlx::Postgres` with the feature `postgres`, `sqlx::Sqlite` with the
/// feature `sqlite`.
///
/// A bound for code that is generic over the database. It cannot be implemented outside of this crate.
pub trait MeasuredDatabase: Driver {}

impl<DB: Driver> MeasuredDatabase for DB {}

/// What this crate must know about a database.
///
/// With this trait in the bounds of the executors, and not `&mut DB::Connection: Executor`, the compiler never has to
/// look for an executor in order to find one, which it gives up with an overflow.
pub trait Driver: Database {
    /// The database's name in labels.
    const SYSTEM: System;

    /// Whether a `BEGIN` that was given up, or has failed, may leave the connection in a transaction of which the driver
    /// knows nothing, so that the connection must not be used again. A batch of statements may do so with any database.
    const UNANSWERED_BEGIN_TAINTS: bool;

    /// The connection as its driver executes statements on it.
    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c;

    /// The name of the database to connect to, for the pool's name; never the user or the host.
    fn database_name(options: &<Self::Connection as Connection>::Options) -> Option<String>;

    /// The class of an error code of the database.
    fn error_type(code: &str) -> ErrorType;
}

#[cfg(feature = "postgres")]
impl Driver for sqlx::Postgres {
    const SYSTEM: System = System::Postgresql;

    // sqlx-postgres 0.9.0 notes the transaction only when the reply to BEGIN has come without an error. When SAVEPOINT
    // fails, it takes the transaction around it for rolled back.
    const UNANSWERED_BEGIN_TAINTS: bool = true;

    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c {
        connection
    }

    fn database_name(options: &sqlx::postgres::PgConnectOptions) -> Option<String> {
        options.get_database().map(str::to_owned)
    }

    fn error_type(code: &str) -> ErrorType {
        crate::error_type::sqlstate_type(code)
    }
}

#[cfg(feature = "sqlite")]
impl Driver for sqlx::Sqlite {
    const SYSTEM: System = System::Sqlite;

    // The driver's worker takes back a BEGIN that nobody waits for; and one that fails, as on a locked file, begins nothing.
    const UNANSWERED_BEGIN_TAINTS: bool = false;

    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c {
        connection
    }

    fn database_name(options: &sqlx::sqlite::SqliteConnectOptions) -> Option<String> {
        let name = options.get_filename().file_stem()?.to_str()?;
        let in_memory = name == ":memory:" || name.starts_with("file:");
        (!in_memory).then(|| name.to_owned())
    }

    fn error_type(code: &str) -> ErrorType {
        crate::error_type::sqlite_type(code)
    }
}
