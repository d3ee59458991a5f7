//! Connections: what statements are measured on.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_core::future::BoxFuture;
use monitoring_core::database::ConnectionUse;
use sqlx::{Connection as _, Database, Error, SqlSafeStr, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::database::MeasuredDatabase;
use crate::record::{Call, Recorder, Running, finish};
use crate::session::Session;
use crate::statement::Statement;
use crate::transaction::{Link, Transaction, UnansweredBegin, is_batch};

/// A measured connection: what [`PoolConnection`] and [`Transaction`] dereference to.
///
/// `&mut Connection<DB>` is a sqlx executor, so `&mut *transaction` and `&mut *pool_connection` are passed as with sqlx,
/// and a function that works on one connection takes `&mut PgConnection` or `&mut SqliteConnection`.
///
/// It never dereferences to sqlx's connection. Where that is needed, [`as_sqlx_mut`](Self::as_sqlx_mut) gives it; what is
/// done with it is not measured.
pub struct Connection<DB: MeasuredDatabase> {
    held: Held<DB>,
    session: Session,
    after_begin: Option<AfterBegin<DB>>,
}

/// What is done at the beginning of each transaction, which fails if that does.
pub(crate) type AfterBegin<DB> =
    Arc<dyn for<'c> Fn(&'c mut <DB as Database>::Connection) -> BoxFuture<'c, Result<(), Error>> + Send + Sync>;

pub(crate) enum Held<DB: MeasuredDatabase> {
    /// From a pool, to which it goes back when dropped; the second field measures for how long it was away.
    Pooled(sqlx::pool::PoolConnection<DB>, ConnectionUse),
    /// No longer in a pool.
    Single(DB::Connection),
}

impl<DB: MeasuredDatabase> Connection<DB> {
    /// Begins a transaction, or a savepoint within the one that is open.
    ///
    /// If it fails or is given up, nobody may know whether a transaction is open now. A connection of a pool is then closed
    /// when it is dropped, and not given to the next one; a [detached](PoolConnection::detach) one is yours: close it.
    ///
    /// # Errors
    /// When the database refuses, or the connection is lost.
    pub async fn begin(&mut self) -> Result<Transaction<'_, DB>, Error> {
        self.begin_by(None).await
    }

    /// Begins a transaction by a statement of its own, such as `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); and when a transaction is open already, or none is after the statement.
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<Transaction<'_, DB>, Error> {
        self.begin_by(Some(statement.into_sql_str())).await
    }

    async fn begin_by(&mut self, statement: Option<SqlStr>) -> Result<Transaction<'_, DB>, Error> {
        let read = match &statement {
            Some(statement) => self.recorder().read::<DB>(statement.as_str()),
            None if self.is_in_transaction() => Statement::of_operation("SAVEPOINT"),
            None => Statement::of_operation("BEGIN"),
        };
        self.session.at_depth(self.transaction_depth());
        let operation = Call::new(read).start_on::<DB>(&self.session);
        self.held.begin(operation, statement, self.after_begin.as_ref()).await?;
        Ok(Transaction::new(Link::Borrowed(self)))
    }

    /// Begins a transaction as an operation that was started elsewhere.
    pub(crate) async fn begin_operation(
        &mut self,
        operation: Running<'_>,
        statement: Option<SqlStr>,
    ) -> Result<(), Error> {
        self.held.begin(operation, statement, self.after_begin.as_ref()).await
    }

    /// Whether a transaction is open on this connection.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction_depth() > 0
    }

    /// Checks that the database answers. Not measured: it is no operation of the database.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.as_sqlx_mut().ping().await
    }

    /// sqlx's connection, for what this crate has no method for. What is done with it **is not measured**.
    pub fn as_sqlx(&self) -> &DB::Connection {
        match &self.held {
            Held::Pooled(connection, _) => connection,
            Held::Single(connection) => connection,
        }
    }

    /// sqlx's connection, for what takes one by `&mut`: `COPY`, advisory locks, migrations. What is done with it **is not
    /// measured**.
    pub fn as_sqlx_mut(&mut self) -> &mut DB::Connection {
        self.parts().0
    }

    /// sqlx's connection, out of the pool and no longer measured.
    pub fn into_sqlx(self) -> DB::Connection {
        match self.held {
            Held::Pooled(connection, used) => {
                drop(used);
                connection.detach()
            }
            Held::Single(connection) => connection,
        }
    }

    /// Ends the session with the database, and waits for that.
    ///
    /// # Errors
    /// When the connection is lost before.
    pub async fn close(self) -> Result<(), Error> {
        match self.held {
            Held::Pooled(connection, _) => connection.close().await,
            Held::Single(connection) => connection.close().await,
        }
    }

    pub(crate) fn transaction_depth(&self) -> usize {
        DB::TransactionManager::get_transaction_depth(self.as_sqlx())
    }

    /// The connection for its driver, and what is known of it.
    pub(crate) fn parts(&mut self) -> (&mut DB::Connection, &Session) {
        self.session.at_depth(self.transaction_depth());
        (self.held.as_sqlx_mut(), &self.session)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        self.session.recorder()
    }

    /// As [`Held::retire`].
    #[cfg(feature = "postgres")]
    pub(crate) fn retire(&mut self) {
        self.held.retire();
    }
}

impl<DB: MeasuredDatabase> Held<DB> {
    /// Begins a transaction or a savepoint.
    async fn begin(
        &mut self,
        operation: Running<'_>,
        statement: Option<SqlStr>,
        after: Option<&AfterBegin<DB>>,
    ) -> Result<(), Error> {
        let taints = DB::UNANSWERED_BEGIN_TAINTS || statement.as_ref().is_some_and(|batch| is_batch(batch.as_str()));
        let mut unanswered = UnansweredBegin::new(self, taints);
        let mut result = DB::TransactionManager::begin(unanswered.connection(), statement).await;
        if let Some(after) = after
            && result.is_ok()
            && DB::TransactionManager::get_transaction_depth(unanswered.connection()) == 1
        {
            unanswered.begun();
            result = after(unanswered.connection()).await;
        }
        unanswered.answered(&result);
        finish::<DB, _>(operation, result)
    }

    pub(crate) fn as_sqlx_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Pooled(connection, _) => connection,
            Self::Single(connection) => connection,
        }
    }

    /// Has the connection closed, and not given to the next one who asks the pool. One that is in no pool stays open: its
    /// owner alone decides.
    pub(crate) fn retire(&mut self) {
        if let Self::Pooled(connection, _) = self {
            connection.close_on_drop();
        }
    }
}

impl<DB: MeasuredDatabase> fmt::Debug for Connection<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// A connection taken from a [`Pool`](crate::Pool), to which it goes back when dropped. Dereferences to [`Connection`].
pub struct PoolConnection<DB: MeasuredDatabase> {
    connection: Connection<DB>,
}

impl<DB: MeasuredDatabase> PoolConnection<DB> {
    pub(crate) fn new(
        connection: sqlx::pool::PoolConnection<DB>,
        used: ConnectionUse,
        recorder: Recorder,
        after_begin: Option<AfterBegin<DB>>,
    ) -> Self {
        Self {
            connection: Connection {
                held: Held::Pooled(connection, used),
                session: Session::new(recorder),
                after_begin,
            },
        }
    }

    /// Ends the session with the database, and waits for that. The pool may open another connection then.
    ///
    /// # Errors
    /// When the connection is lost before.
    pub async fn close(self) -> Result<(), Error> {
        self.connection.close().await
    }

    /// Has the connection closed when it is dropped, instead of going back to the pool.
    pub fn close_on_drop(&mut self) {
        self.connection.held.retire();
    }

    /// Takes the connection out of the pool, which may open another one then. It is still measured.
    pub fn detach(self) -> Connection<DB> {
        let session = Session::new(self.connection.recorder().clone());
        let after_begin = self.connection.after_begin.clone();
        Connection { held: Held::Single(self.connection.into_sqlx()), session, after_begin }
    }
}

impl<DB: MeasuredDatabase> Deref for PoolConnection<DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.connection
    }
}

impl<DB: MeasuredDatabase> DerefMut for PoolConnection<DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.connection
    }
}

impl<DB: MeasuredDatabase> fmt::Debug for PoolConnection<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PoolConnection").finish_non_exhaustive()
    }
}
