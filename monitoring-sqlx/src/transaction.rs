//! Transactions and savepoints.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::Error;
use sqlx_core::transaction::TransactionManager;

use crate::connection::{Connection, Held, PoolConnection};
use crate::database::MeasuredDatabase;
use crate::record::{Call, finish};

/// A transaction that is open, or a savepoint within one. Dereferences to [`Connection`], so `&mut *transaction` is a
/// measured executor.
///
/// Dropped without [`commit`](Self::commit), it is rolled back as sqlx does it: the `ROLLBACK` is sent with whatever the
/// connection does next, at the latest when it goes back to the pool. That one is not measured, since nobody waits for it.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c, DB: MeasuredDatabase> {
    link: Link<'c, DB>,
    open: bool,
}

/// Whose the connection is.
pub(crate) enum Link<'c, DB: MeasuredDatabase> {
    Owned(PoolConnection<DB>),
    Borrowed(&'c mut Connection<DB>),
}

impl<'c, DB: MeasuredDatabase> Transaction<'c, DB> {
    /// The transaction, or the savepoint, that has begun on that connection.
    pub(crate) fn new(link: Link<'c, DB>) -> Self {
        Self { link, open: true }
    }

    /// Makes what was done visible to others, or with a savepoint to the transaction around it.
    ///
    /// # Errors
    /// When the database refuses, or the connection is lost; in the latter case the work may be committed or not.
    pub async fn commit(mut self) -> Result<(), Error> {
        let name = if self.transaction_depth() > 1 { "RELEASE" } else { "COMMIT" };
        let (connection, instruments) = self.link.parts();
        let operation = Call::new(name).start::<DB>(instruments);
        let result = DB::TransactionManager::commit(connection).await;
        self.open = result.is_err();
        finish::<DB, _>(operation, result)
    }

    /// Undoes what was done, and waits for that.
    ///
    /// # Errors
    /// When the connection is lost, which rolls back too.
    pub async fn rollback(mut self) -> Result<(), Error> {
        let (connection, instruments) = self.link.parts();
        let operation = Call::new("ROLLBACK").start::<DB>(instruments);
        let result = DB::TransactionManager::rollback(connection).await;
        self.open = result.is_err();
        finish::<DB, _>(operation, result)
    }
}

impl<DB: MeasuredDatabase> Drop for Transaction<'_, DB> {
    fn drop(&mut self) {
        if self.open {
            DB::TransactionManager::start_rollback(self.link.as_sqlx_mut());
        }
    }
}

/// Dropped before it is clear whether a transaction is open on the connection, it keeps that out of the pool.
pub(crate) struct UnansweredBegin<'a, DB: MeasuredDatabase> {
    held: &'a mut Held<DB>,
    taints: bool,
}

impl<'a, DB: MeasuredDatabase> UnansweredBegin<'a, DB> {
    /// `taints` says whether there can be doubt at all.
    pub(crate) fn new(held: &'a mut Held<DB>, taints: bool) -> Self {
        Self { held, taints }
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
    }
}

impl<DB: MeasuredDatabase> Drop for UnansweredBegin<'_, DB> {
    fn drop(&mut self) {
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
        formatter.debug_struct("Transaction").field("open", &self.open).finish_non_exhaustive()
    }
}
