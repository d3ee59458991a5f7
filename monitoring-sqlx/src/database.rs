//! The databases whose connections can be measured.

use monitoring_core::database::{ErrorType, System};
use sqlx::error::DatabaseError;
use sqlx::{Connection, Database, Executor};

use crate::slow_query::Explain;

/// A database whose connections can be measured: `sqlx::Postgres` with the feature `postgres`, `sqlx::Sqlite` with the
/// feature `sqlite`, `sqlx::MySql` with the feature `mysql`.
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

    /// Whether a statement that the database refuses aborts the transaction around it, of which only a part before a savepoint
    /// can still be committed.
    const REFUSAL_ABORTS: bool = false;

    /// Whether a `BEGIN` that was given up, or has failed, may leave the connection in a transaction of which the driver
    /// knows nothing, so that the connection must not be used again. A batch of statements may do so with any database.
    const UNANSWERED_BEGIN_TAINTS: bool;

    /// The connection as its driver executes statements on it.
    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c;

    /// The name of the database to connect to, for the pool's name; never the user or the host.
    fn database_name(options: &<Self::Connection as Connection>::Options) -> Option<String>;

    /// How the plan of a statement is asked for, if this crate can read it.
    const EXPLAIN: Option<Explain<Self>> = None;

    /// The class of an error of the database that has no kind.
    fn error_type(error: &dyn DatabaseError) -> ErrorType;
}

#[cfg(feature = "postgres")]
impl Driver for sqlx::Postgres {
    const SYSTEM: System = System::Postgresql;

    const REFUSAL_ABORTS: bool = true;

    // sqlx-postgres 0.9.0 notes the transaction only when the reply to BEGIN has come without an error. When SAVEPOINT
    // fails, it takes the transaction around it for rolled back.
    const UNANSWERED_BEGIN_TAINTS: bool = true;

    const EXPLAIN: Option<Explain<Self>> = Some(crate::slow_query::explain);

    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c {
        connection
    }

    fn database_name(options: &sqlx::postgres::PgConnectOptions) -> Option<String> {
        options.get_database().map(str::to_owned)
    }

    fn error_type(error: &dyn DatabaseError) -> ErrorType {
        error.code().map_or(ErrorType::Other, |code| crate::error_type::sqlstate_type(&code))
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

    fn error_type(error: &dyn DatabaseError) -> ErrorType {
        error.code().map_or(ErrorType::Other, |code| crate::error_type::sqlite_type(&code))
    }
}

#[cfg(feature = "mysql")]
impl Driver for sqlx::MySql {
    const SYSTEM: System = System::Mysql;

    // sqlx-mysql 0.9.0 notes the transaction only when the reply to BEGIN has come without an error.
    const UNANSWERED_BEGIN_TAINTS: bool = true;

    fn executor<'c>(connection: &'c mut Self::Connection) -> impl Executor<'c, Database = Self> + 'c {
        connection
    }

    fn database_name(options: &sqlx::mysql::MySqlConnectOptions) -> Option<String> {
        options.get_database().map(str::to_owned)
    }

    fn error_type(error: &dyn DatabaseError) -> ErrorType {
        let number = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(|error| error.number());
        number.map_or(ErrorType::Other, crate::error_type::mysql_type)
    }
}
