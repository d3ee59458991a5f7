//! Transactions and savepoints.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::Error;
use sqlx_core::transaction::TransactionManager;

use crate::connection::{Connection, Held, PoolConnection};
use crate::database::MeasuredDatabase;
use crate::open_transaction::OpenTransaction;
use crate::record::{Call, finish};

/// A transaction that is open, or a savepoint within one. Dereferences to [`Connection`], so `&mut *transaction` is a
/// measured executor.
///
/// For how long it was open, and what became of it, is in `saas_db_transaction_duration_seconds`, by `outcome`: `committed`,
/// `rolled_back`, or `commit_unknown` if `COMMIT` was sent and its answer never came. A savepoint is no transaction there.
///
/// Dropped without [`commit`](Self::commit), it is rolled back as sqlx does it: the `ROLLBACK` is sent with whatever the
/// connection does next, at the latest when it goes back to the pool. That one is not measured, since nobody waits for it.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c, DB: MeasuredDatabase> {
    link: Link<'c, DB>,
    /// How many there are around it and itself, as the driver has counted when it began: 1 unless it is a savepoint.
    depth: usize,
    is_open: bool,
    /// `None` for a savepoint, and once it is known what became of it.
    measured: Option<OpenTransaction>,
}

/// Whose the connection is.
pub(crate) enum Link<'c, DB: MeasuredDatabase> {
    Owned(PoolConnection<DB>),
    Borrowed(&'c mut Connection<DB>),
}

impl<'c, DB: MeasuredDatabase> Transaction<'c, DB> {
    /// The transaction, or the savepoint, that has begun on that connection.
    pub(crate) fn new(link: Link<'c, DB>) -> Self {
        let depth = link.transaction_depth();
        let measured = (depth == 1).then(|| OpenTransaction::new(link.recorder(), DB::SYSTEM));
        Self { link, depth, is_open: true, measured }
    }

    /// Whether the driver has taken it for rolled back, as sqlx-postgres 0.9.0 does when a savepoint in it cannot be set, or is
    /// given up meanwhile. It would commit the next outer one then, or report the success of nothing.
    fn is_gone(&self) -> bool {
        self.transaction_depth() < self.depth
    }

    /// Makes what was done visible to others, or with a savepoint to the transaction around it.
    ///
    /// # Errors
    /// When the database refuses, or the connection is lost; in the latter case the work may be committed or not. `Protocol`
    /// when it was rolled back before, because a [`begin`](Connection::begin) in it has failed or was given up.
    pub async fn commit(mut self) -> Result<(), Error> {
        if self.is_gone() {
            return Err(Error::Protocol(
                "the transaction was rolled back when a savepoint in it could not be set: do it again from its beginning".into(),
            ));
        }
        let name = if self.depth > 1 { "RELEASE" } else { "COMMIT" };
        // PostgreSQL rolls an aborted transaction back and calls that a success. It is recorded as what it is.
        let is_aborted = self.link.session().is_aborted(self.depth);
        let mut measured = self.measured.take().filter(|_| !is_aborted);
        if let Some(measured) = &mut measured {
            measured.committing();
        }
        let (connection, session) = self.link.parts();
        let operation = Call::new(name).start_on::<DB>(session);
        let result = DB::TransactionManager::commit(connection).await;
        self.is_open = result.is_err();
        if let Some(measured) = measured {
            measured.answered::<DB>(&result);
        }
        finish::<DB, _>(operation, result)
    }

    /// Undoes what was done, and waits for that.
    ///
    /// # Errors
    /// When the connection is lost, which rolls back too.
    pub async fn rollback(mut self) -> Result<(), Error> {
        if self.is_gone() {
            return Ok(());
        }
        let (connection, session) = self.link.parts();
        let operation = Call::new("ROLLBACK").start_on::<DB>(session);
        let result = DB::TransactionManager::rollback(connection).await;
        self.is_open = result.is_err();
        self.measured = None;
        finish::<DB, _>(operation, result)
    }
}

impl<DB: MeasuredDatabase> Drop for Transaction<'_, DB> {
    fn drop(&mut self) {
        if self.is_open && !self.is_gone() {
            DB::TransactionManager::start_rollback(self.link.as_sqlx_mut());
        }
    }
}

/// Dropped before it is clear whether a transaction is open on the connection, it keeps that out of the pool.
pub(crate) struct UnansweredBegin<'a, DB: MeasuredDatabase> {
    held: &'a mut Held<DB>,
    taints: bool,
    /// There is a transaction that nobody has been given yet.
    is_begun: bool,
}

impl<'a, DB: MeasuredDatabase> UnansweredBegin<'a, DB> {
    /// `taints` says whether there can be doubt at all.
    pub(crate) fn new(held: &'a mut Held<DB>, taints: bool) -> Self {
        Self { held, taints, is_begun: false }
    }

    /// The driver has begun a transaction, and something is to be done in it first.
    pub(crate) fn begun(&mut self) {
        self.is_begun = true;
    }

    pub(crate) fn connection(&mut self) -> &mut DB::Connection {
        self.held.as_sqlx_mut()
    }

    /// There is a transaction that the driver knows of, or there is none: with these two errors nothing was begun. After
    /// any other error it stays unclear.
    pub(crate) fn answered(mut self, result: &Result<(), Error>) {
        if matches!(result, Ok(()) | Err(Error::InvalidSavePointStatement | Error::BeginFailed)) {
            self.taints = false;
        }
        self.is_begun &= result.is_err();
    }
}

impl<DB: MeasuredDatabase> Drop for UnansweredBegin<'_, DB> {
    fn drop(&mut self) {
        // Who holds the connection may go on with it, and would be in that transaction, for a tenant of another time.
        if self.is_begun {
            DB::TransactionManager::start_rollback(self.held.as_sqlx_mut());
        }
        if self.taints {
            self.held.retire();
        }
    }
}

/// Whether there may be several statements, of which the first can begin a transaction and a later one fail. A semicolon
/// within a text or a comment is taken for the end of a statement, which does no harm.
pub(crate) fn is_batch(statements: &str) -> bool {
    statements.trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace()).contains(';')
}

impl<DB: MeasuredDatabase> Deref for Link<'_, DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        match self {
            Self::Owned(connection) => connection,
            Self::Borrowed(connection) => connection,
        }
    }
}

impl<DB: MeasuredDatabase> DerefMut for Link<'_, DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        match self {
            Self::Owned(connection) => connection,
            Self::Borrowed(connection) => connection,
        }
    }
}

impl<DB: MeasuredDatabase> Deref for Transaction<'_, DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.link
    }
}

impl<DB: MeasuredDatabase> DerefMut for Transaction<'_, DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.link
    }
}

impl<DB: MeasuredDatabase> fmt::Debug for Transaction<'_, DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transaction").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}
