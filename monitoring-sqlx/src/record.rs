//! What is measured of one operation: what it is, its tenant, how long it took, how many rows it gave, and how it ended.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use monitoring_core::database::{DatabaseInstruments, ErrorType, Operation, System};
use monitoring_core::{Instruments, Symbol, Tenant};
use sqlx::{Error, SqlStr};

use crate::database::Driver;
use crate::error_type::error_type;
#[cfg(feature = "postgres")]
use crate::listener::ListenerFamilies;
use crate::open_transaction::TransactionFamilies;
use crate::operation_name::operation_name;
use crate::session::Session;
use crate::slow_query::{SlowLog, SlowQuery};
use crate::statement::{Shape, Statement, Statements};

/// Where the operations of a pool and of its connections are recorded. A clone is another handle to the same.
#[derive(Clone)]
pub(crate) struct Recorder {
    parts: Arc<Parts>,
}

struct Parts {
    instruments: Instruments<DatabaseInstruments>,
    statements: Instruments<Statements>,
    max_collections: usize,
    slow: SlowLog,
    names_statements: bool,
}

impl Recorder {
    pub(crate) fn new(
        instruments: Instruments<DatabaseInstruments>,
        statements: Instruments<Statements>,
        max_collections: usize,
        slow: SlowLog,
        names_statements: bool,
    ) -> Self {
        Self { parts: Arc::new(Parts { instruments, statements, max_collections, slow, names_statements }) }
    }

    /// Whether statements may be prepared under a name, to be used again.
    pub(crate) fn names_statements(&self) -> bool {
        self.parts.names_statements
    }

    pub(crate) fn instruments(&self) -> &Instruments<DatabaseInstruments> {
        &self.parts.instruments
    }

    /// What is known of a statement.
    pub(crate) fn read<DB: Driver>(&self, text: &str) -> Statement {
        match self.parts.statements.get() {
            Some(statements) => statements.read(DB::SYSTEM, text),
            None => Statement::of_operation(operation_name(text)),
        }
    }

    /// Where transactions are recorded.
    pub(crate) fn transactions(&self) -> Option<&TransactionFamilies> {
        self.parts.statements.get().map(Statements::transactions)
    }

    /// The families of listeners, and the name of the pool that a listener belongs to.
    #[cfg(feature = "postgres")]
    pub(crate) fn listeners(&self) -> Option<(&ListenerFamilies, Symbol)> {
        let statements = self.parts.statements.get()?;
        Some((statements.listeners(), statements.symbol(self.parts.slow.pool())))
    }

    /// Whether the text of that statement is to be kept while it runs, to be explained if it is slow.
    pub(crate) fn may_explain(&self, statement: Statement) -> bool {
        self.parts.slow.explains()
            && self
                .parts
                .statements
                .get()
                .and_then(|statements| statements.shape(statement))
                .is_some_and(Shape::is_select)
    }
}

/// An operation that was asked for: what it is, and for whom.
pub(crate) struct Call {
    statement: Statement,
    /// The statement's text, if it is to be explained when it is slow.
    text: Option<SqlStr>,
    tenant: Tenant,
}

impl Call {
    /// An operation for the tenant of the scope that the caller runs in.
    ///
    /// A future makes it when it is first polled, since it may be put into a scope after it was made. A stream makes it
    /// when it is made, since it may be polled where the scope has ended, as the body of a response is.
    pub(crate) fn new(statement: impl Into<Statement>) -> Self {
        Self { statement: statement.into(), text: None, tenant: Tenant::current() }
    }

    /// The same operation, with the text to explain it by.
    pub(crate) fn explained_by(self, text: Option<SqlStr>) -> Self {
        Self { text, ..self }
    }

    /// The operation begins.
    pub(crate) fn start<DB: Driver>(self, recorder: &Recorder) -> Running<'_> {
        let mut running = self.wait::<DB>(recorder);
        running.connected();
        running
    }

    /// The operation begins on that connection.
    pub(crate) fn start_on<DB: Driver>(self, session: &Session) -> Running<'_> {
        let mut running = self.start::<DB>(session.recorder());
        running.session = Some(session);
        running
    }

    /// Whose operation it is when it begins now: that of who asked for it, or else of the scope in which it begins.
    pub(crate) fn acting(&self) -> Tenant {
        if self.tenant == Tenant::NONE { Tenant::current() } else { self.tenant }
    }

    /// The operation begins to wait for a connection.
    pub(crate) fn wait<DB: Driver>(self, recorder: &Recorder) -> Running<'_> {
        let acting = self.acting();
        let Self { statement, text, tenant: _ } = self;
        let operation =
            Operation::waiting(recorder.instruments(), DB::SYSTEM, statement.operation()).for_tenant(acting);
        Running { operation: Some(operation), recorder, session: None, system: DB::SYSTEM, statement, text, rows: 0 }
    }
}

/// An operation that runs. Dropped before its end, it is `cancelled`.
#[must_use = "dropping it records a cancelled operation"]
pub(crate) struct Running<'a> {
    /// `None` once it has ended.
    operation: Option<Operation<'a>>,
    recorder: &'a Recorder,
    /// `None` when nobody can have a transaction on its connection.
    session: Option<&'a Session>,
    system: System,
    statement: Statement,
    text: Option<SqlStr>,
    /// The rows that have come so far.
    rows: u64,
}

impl Running<'_> {
    /// The wait for a connection is over: the operation's time begins.
    pub(crate) fn connected(&mut self) {
        if let Some(operation) = &mut self.operation {
            operation.connected();
        }
    }

    /// Another row has come.
    fn add_row(&mut self) {
        self.rows += 1;
    }

    /// The operation is done, or has failed with that error.
    pub(crate) fn end(mut self, error: Option<ErrorType>) {
        self.record(error, Rows::NotAsked);
    }

    /// The operation failed.
    pub(crate) fn failed(self, error: ErrorType) {
        self.end(Some(error));
    }

    /// It was no operation after all: nothing is recorded.
    pub(crate) fn discard(mut self) {
        if let Some(operation) = self.operation.take() {
            operation.discard();
        }
    }

    /// Its connection has an answer of the database.
    fn answered<DB: Driver>(&self, error: Option<&Error>) {
        if let Some(session) = self.session {
            session.answered::<DB>(error);
        }
    }

    fn end_with_rows(mut self, error: Option<ErrorType>, rows: u64) {
        self.rows = rows;
        self.record(error, Rows::Asked);
    }

    fn record(&mut self, error: Option<ErrorType>, rows: Rows) {
        let Some(mut operation) = self.operation.take() else { return };
        let Parts { statements, max_collections, slow, .. } = &*self.recorder.parts;
        let Some(statements) = statements.get() else { return operation.end(error) };
        let shape = statements.shape(self.statement);
        let named = shape.and_then(|shape| statements.names(shape, error, *max_collections));
        let collection = named.map_or(Symbol::ABSENT, |named| named.collection);
        operation.set_collection(collection);
        let Some((tenant, took)) = operation.end_timed(error) else { return };
        // How many rows a statement would have returned is known only when it has returned them all.
        if matches!(rows, Rows::Asked) && matches!(error, None | Some(ErrorType::NotFound)) {
            statements.record_rows(self.system, collection, self.rows);
        }
        if slow.is_slow(self.statement.operation(), took) {
            slow.note(SlowQuery {
                statements,
                system: self.system,
                statement: self.statement,
                // What is not known to be understood is not shown: a name in it may be a value that lost its quotes.
                shape: shape.filter(|_| named.is_some()),
                summary: named.map(|named| named.summary),
                tenant,
                took,
                rows: matches!(rows, Rows::Asked).then_some(self.rows),
                error,
                text: self.text.take(),
            });
        }
    }
}

/// Whether the rows of an operation were asked for.
enum Rows {
    Asked,
    NotAsked,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.record(Some(ErrorType::Cancelled), Rows::NotAsked);
    }
}

/// Ends an operation by its result, which is handed on.
pub(crate) fn finish<DB: Driver, T>(running: Running<'_>, result: Result<T, Error>) -> Result<T, Error> {
    running.answered::<DB>(result.as_ref().err());
    running.end(result.as_ref().err().map(error_type::<DB>));
    result
}

/// Ends an operation whose rows were asked for.
pub(crate) fn finish_rows<DB: Driver, T>(
    running: Running<'_>,
    result: Result<T, Error>,
    rows: impl FnOnce(&T) -> usize,
) -> Result<T, Error> {
    let count = result.as_ref().map_or(0, rows) as u64;
    running.answered::<DB>(result.as_ref().err());
    running.end_with_rows(result.as_ref().err().map(error_type::<DB>), count);
    result
}

/// The rows of one operation, which begins when they are first asked for, and ends with the last one, with an error, or
/// when the stream is dropped.
pub(crate) struct MeasuredRows<'e, DB: Driver, T> {
    rows: BoxStream<'e, Result<T, Error>>,
    /// Tells a row from the result of a statement; absent where no rows are asked for.
    is_row: Option<fn(&T) -> bool>,
    state: State<'e>,
    database: PhantomData<fn() -> DB>,
}

enum State<'e> {
    Asked(Call, &'e Session),
    Running(Running<'e>),
    Ended,
}

impl<'e, DB: Driver, T> MeasuredRows<'e, DB, T> {
    /// The rows of an operation that begins with the first poll.
    pub(crate) fn of_call(
        call: Call,
        session: &'e Session,
        rows: BoxStream<'e, Result<T, Error>>,
        is_row: Option<fn(&T) -> bool>,
    ) -> Self {
        Self { rows, is_row, state: State::Asked(call, session), database: PhantomData }
    }

    /// The rows of an operation that runs.
    pub(crate) fn of_operation(
        running: Running<'e>,
        rows: BoxStream<'e, Result<T, Error>>,
        is_row: Option<fn(&T) -> bool>,
    ) -> Self {
        Self { rows, is_row, state: State::Running(running), database: PhantomData }
    }

    fn begin(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Asked(call, session) => State::Running(call.start_on::<DB>(session)),
            other => other,
        };
    }

    fn end(&mut self, error: Option<&Error>) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Ended) {
            running.answered::<DB>(error);
            let error = error.map(error_type::<DB>);
            match self.is_row {
                Some(_) => {
                    let rows = running.rows;
                    running.end_with_rows(error, rows);
                }
                None => running.end(error),
            }
        }
    }
}

impl<DB: Driver, T> Stream for MeasuredRows<'_, DB, T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let State::Asked(..) = this.state {
            this.begin();
        }
        let polled = this.rows.as_mut().poll_next(task);
        match &polled {
            Poll::Ready(None) => this.end(None),
            Poll::Ready(Some(Err(error))) => this.end(Some(error)),
            Poll::Ready(Some(Ok(item))) => {
                if let State::Running(running) = &mut this.state
                    && this.is_row.is_some_and(|is_row| is_row(item))
                {
                    running.add_row();
                }
            }
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Recorder").field("slow", &self.parts.slow).finish_non_exhaustive()
    }
}
