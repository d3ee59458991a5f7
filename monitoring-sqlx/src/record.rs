//! What is measured of one operation: its name, its tenant, how long it took, and how it ended.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use monitoring_core::database::{DatabaseInstruments, Operation};
use monitoring_core::{Instruments, Tenant};
use sqlx::Error;

use crate::database::Driver;
use crate::error_type::error_type;

/// An operation that was asked for: what it is, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    name: &'static str,
    tenant: Tenant,
}

impl Call {
    /// An operation for the tenant of the scope that the caller runs in.
    ///
    /// A future makes it when it is first polled, since it may be put into a scope after it was made. A stream makes it
    /// when it is made, since it may be polled where the scope has ended, as the body of a response is.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, tenant: Tenant::current() }
    }

    /// The operation begins.
    pub(crate) fn start<DB: Driver>(self, instruments: &Instruments<DatabaseInstruments>) -> Operation<'_> {
        let mut operation = self.wait::<DB>(instruments);
        operation.connected();
        operation
    }

    /// The operation begins to wait for a connection. It is of who asked for it, or else of the scope in which it begins.
    pub(crate) fn wait<DB: Driver>(self, instruments: &Instruments<DatabaseInstruments>) -> Operation<'_> {
        let operation = Operation::waiting(instruments, DB::SYSTEM, self.name);
        if self.tenant == Tenant::NONE { operation } else { operation.for_tenant(self.tenant) }
    }
}

/// Ends an operation by its result, which is handed on.
pub(crate) fn finish<DB: Driver, T>(operation: Operation<'_>, result: Result<T, Error>) -> Result<T, Error> {
    operation.end(result.as_ref().err().map(error_type::<DB>));
    result
}

/// The rows of one operation, which begins when they are first asked for, and ends with the last one, with an error, or
/// when the stream is dropped.
pub(crate) struct MeasuredRows<'e, DB: Driver, T> {
    rows: BoxStream<'e, Result<T, Error>>,
    state: State<'e>,
    database: PhantomData<fn() -> DB>,
}

enum State<'e> {
    Asked(Call, &'e Instruments<DatabaseInstruments>),
    Running(Operation<'e>),
    Ended,
}

impl<'e, DB: Driver, T> MeasuredRows<'e, DB, T> {
    /// The rows of an operation that begins with the first poll.
    pub(crate) fn of_call(
        call: Call,
        instruments: &'e Instruments<DatabaseInstruments>,
        rows: BoxStream<'e, Result<T, Error>>,
    ) -> Self {
        Self { rows, state: State::Asked(call, instruments), database: PhantomData }
    }

    /// The rows of an operation that runs.
    pub(crate) fn of_operation(operation: Operation<'e>, rows: BoxStream<'e, Result<T, Error>>) -> Self {
        Self { rows, state: State::Running(operation), database: PhantomData }
    }

    fn end(&mut self, error: Option<&Error>) {
        if let State::Running(operation) = std::mem::replace(&mut self.state, State::Ended) {
            operation.end(error.map(error_type::<DB>));
        }
    }
}

impl<DB: Driver, T> Stream for MeasuredRows<'_, DB, T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let State::Asked(call, instruments) = this.state {
            this.state = State::Running(call.start::<DB>(instruments));
        }
        let polled = this.rows.as_mut().poll_next(task);
        match &polled {
            Poll::Ready(None) => this.end(None),
            Poll::Ready(Some(Err(error))) => this.end(Some(error)),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}
