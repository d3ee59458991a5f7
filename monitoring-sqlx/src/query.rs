//! Reading a statement on its way to the driver.

use std::marker::PhantomData;

use sqlx::error::BoxDynError;
use sqlx::{Database, Execute, SqlStr, Statement};

use crate::operation_name::operation_name;

/// The operation's name, and the query as the driver is to have it: to read the text of a query is to consume it.
pub(crate) fn named<'q, DB: Database, E: Execute<'q, DB>>(mut query: E) -> (&'static str, Query<'q, DB, E>) {
    if let Some(statement) = query.statement() {
        return (operation_name(statement.sql().as_str()), Query::Prepared(query));
    }
    let arguments = query.take_arguments();
    let persistent = query.persistent();
    let sql = query.sql();
    (operation_name(sql.as_str()), Query::Text { sql, arguments, persistent, lifetime: PhantomData })
}

/// A query that was looked at, and means to a driver what it meant before.
pub(crate) enum Query<'q, DB: Database, E> {
    /// A query that refers to a prepared statement, unchanged.
    Prepared(E),
    /// A query by its text.
    Text {
        sql: SqlStr,
        arguments: Result<Option<DB::Arguments>, BoxDynError>,
        persistent: bool,
        lifetime: PhantomData<&'q ()>,
    },
}

impl<'q, DB: Database, E: Execute<'q, DB>> Execute<'q, DB> for Query<'q, DB, E> {
    fn sql(self) -> SqlStr {
        match self {
            Self::Prepared(query) => query.sql(),
            Self::Text { sql, .. } => sql,
        }
    }

    fn statement(&self) -> Option<&DB::Statement> {
        match self {
            Self::Prepared(query) => query.statement(),
            Self::Text { .. } => None,
        }
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        match self {
            Self::Prepared(query) => query.take_arguments(),
            Self::Text { arguments, .. } => std::mem::replace(arguments, Ok(None)),
        }
    }

    fn persistent(&self) -> bool {
        match self {
            Self::Prepared(query) => query.persistent(),
            Self::Text { persistent, .. } => *persistent,
        }
    }
}
