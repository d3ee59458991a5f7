//! Reading a statement on its way to the driver.

use std::marker::PhantomData;

use sqlx::error::BoxDynError;
use sqlx::{Arguments, Execute, SqlStr, Statement as _};

use crate::database::Driver;
use crate::record::{Call, Recorder};
use crate::statement::Statement;

/// A statement that was read, before it is executed.
pub(crate) struct Read {
    statement: Statement,
    /// Its text, if it is to be explained when it is slow.
    text: Option<SqlStr>,
}

impl Read {
    /// The statement is asked for, in the scope of its tenant.
    pub(crate) fn call(self) -> Call {
        Call::new(self.statement).explained_by(self.text)
    }
}

/// A text that something else is done with than to execute it.
pub(crate) fn read_as<DB: Driver>(recorder: &Recorder, text: &SqlStr, operation: &'static str) -> Read {
    Read { statement: recorder.read::<DB>(text.as_str()).done_as(operation), text: None }
}

/// What the query is, and the query as the driver is to have it: to read the text of a query is to consume it.
pub(crate) fn read<'q, DB: Driver, E: Execute<'q, DB>>(recorder: &Recorder, mut query: E) -> (Read, Query<'q, DB, E>) {
    if let Some(prepared) = query.statement() {
        let statement = recorder.read::<DB>(prepared.sql().as_str());
        return (Read { statement, text: None }, Query::Prepared(query));
    }
    let arguments = query.take_arguments();
    let persistent = query.persistent() && recorder.names_statements();
    let sql = query.sql();
    let statement = recorder.read::<DB>(sql.as_str());
    // The plan of a statement with arguments depends on them, and they are not ours to keep.
    let has_arguments = !matches!(&arguments, Ok(arguments) if arguments.as_ref().is_none_or(|all| all.len() == 0));
    let text = (!has_arguments && recorder.may_explain(statement)).then(|| sql.clone());
    (Read { statement, text }, Query::Text { sql, arguments, persistent, lifetime: PhantomData })
}

/// A query that was looked at, and means to a driver what it meant before.
pub(crate) enum Query<'q, DB: Driver, E> {
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

impl<'q, DB: Driver, E: Execute<'q, DB>> Execute<'q, DB> for Query<'q, DB, E> {
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
