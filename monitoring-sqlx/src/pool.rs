//! The pool: where connections come from.

use std::fmt;
use std::sync::Arc;

use monitoring_core::TenantFutureExt;
use monitoring_core::database::{Operation, PoolMonitor, PoolState};
use sqlx::pool::PoolOptions;
use sqlx::{Error, SqlSafeStr, SqlStr};

use crate::builder::PoolBuilder;
use crate::connection::{AfterBegin, PoolConnection};
use crate::database::MeasuredDatabase;
use crate::error_type::error_type;
use crate::record::{Call, Recorder, Running};
use crate::statement::Statement;
use crate::transaction::{Link, Transaction};

/// A measured pool of connections, used as sqlx's: `&Pool<DB>` is an executor. A clone is another handle to the same pool.
///
/// A statement that is executed on the pool itself first takes a connection, which is recorded as the wait for it, and
/// then runs, which is recorded as the operation. With [`transaction_pooler`](PoolBuilder::transaction_pooler), and with row
/// level security for each transaction, it is in a transaction of its own, which is recorded too.
pub struct Pool<DB: MeasuredDatabase> {
    shared: Arc<Shared<DB>>,
}

struct Shared<DB: MeasuredDatabase> {
    pool: sqlx::Pool<DB>,
    monitor: PoolMonitor,
    recorder: Recorder,
    tenant: TellTenant<DB>,
}

/// When the database is told whose work it does.
pub(crate) struct TellTenant<DB: MeasuredDatabase> {
    /// As a connection is taken, by the options of the pool.
    pub(crate) on_acquire: bool,
    /// As a transaction begins.
    pub(crate) after_begin: Option<AfterBegin<DB>>,
}

impl<DB: MeasuredDatabase> Pool<DB> {
    /// Opens a pool with at least one connection, recorded in the global monitoring.
    ///
    /// # Errors
    /// When the URL is invalid, or no connection can be made.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().connect(url).await
    }

    /// Opens a pool without a connection, recorded in the global monitoring: the first one is made when it is asked for.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn connect_lazy(url: &str) -> Result<Self, Error> {
        Self::builder().connect_lazy(url)
    }

    /// Sets the name, the options or the monitoring of a pool.
    pub fn builder() -> PoolBuilder<DB> {
        PoolBuilder::new()
    }

    pub(crate) fn new(pool: sqlx::Pool<DB>, name: &str, recorder: Recorder, tenant: TellTenant<DB>) -> Self {
        let watched = pool.clone();
        let monitor = PoolMonitor::new(recorder.instruments().clone(), name, move || state(&watched));
        Self { shared: Arc::new(Shared { pool, monitor, recorder, tenant }) }
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// Takes a connection, when one is free or can be made. Without one, an operation `CONNECT` has failed, or is cancelled.
    ///
    /// # Errors
    /// `PoolTimedOut` when there is none within the pool's time-out, `PoolClosed` when it is closed, or why no connection
    /// could be made.
    pub fn acquire(&self) -> impl Future<Output = Result<PoolConnection<DB>, Error>> + Send + use<DB> {
        let shared = Arc::clone(&self.shared);
        async move {
            let (operation, connection) = shared.acquire_for(Call::new(Operation::CONNECT)).await?;
            operation.discard();
            Ok(connection)
        }
    }

    /// Takes a connection if one is idle. Recorded as a wait of no time if there is one, else not at all.
    ///
    /// With [row level security for each session](PoolBuilder::row_level_security) there never is one: nobody could wait until
    /// the database has been told the tenant.
    pub fn try_acquire(&self) -> Option<PoolConnection<DB>> {
        let Shared { pool, monitor, recorder, tenant } = &*self.shared;
        if tenant.on_acquire {
            return None;
        }
        let acquire = monitor.acquire();
        let connection = pool.try_acquire()?;
        Some(PoolConnection::new(connection, acquire.acquired(), recorder.clone(), tenant.after_begin.clone()))
    }

    /// Takes a connection and begins a transaction on it.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), or when the database refuses.
    pub async fn begin(&self) -> Result<Transaction<'static, DB>, Error> {
        self.begin_by(Statement::of_operation("BEGIN"), None).await
    }

    /// Takes a connection and begins a transaction on it by a statement of its own, such as `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); and when no transaction is open after the statement.
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<Transaction<'static, DB>, Error> {
        let statement = statement.into_sql_str();
        self.begin_by(self.recorder().read::<DB>(statement.as_str()), Some(statement)).await
    }

    async fn begin_by(&self, read: Statement, statement: Option<SqlStr>) -> Result<Transaction<'static, DB>, Error> {
        let (operation, mut connection) = self.acquire_for(Call::new(read)).await?;
        connection.begin_operation(operation, statement).await?;
        Ok(Transaction::new(Link::Owned(connection)))
    }

    /// Takes a connection for one operation, whose time begins then. Without one the operation has failed, or is cancelled.
    pub(crate) async fn acquire_for(&self, call: Call) -> Result<(Running<'_>, PoolConnection<DB>), Error> {
        let (mut operation, connection) = self.shared.acquire_for(call).await?;
        operation.connected();
        Ok((operation, connection))
    }

    /// Whether a statement on the pool itself has to be a transaction of its own: to have one connection of the server for all
    /// its steps, where a pooler hands those out, and to be told the tenant, where that is told to transactions.
    pub(crate) fn has_transactions_only(&self) -> bool {
        let Shared { recorder, tenant, .. } = &*self.shared;
        !recorder.names_statements() || tenant.after_begin.is_some()
    }

    /// The pool's name in the label `db_client_connection_pool_name`.
    pub fn name(&self) -> &str {
        self.shared.monitor.name()
    }

    /// The options that the pool was opened with.
    pub fn options(&self) -> &PoolOptions<DB> {
        self.shared.pool.options()
    }

    /// The number of open connections, those being opened included.
    pub fn size(&self) -> u32 {
        self.shared.pool.size()
    }

    /// The number of open connections that nobody holds.
    pub fn num_idle(&self) -> usize {
        self.shared.pool.num_idle()
    }

    /// Refuses further work, waits until all connections are given back, and closes them.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.shared.pool.is_closed()
    }

    /// sqlx's pool, for what takes one: migrations (`migrator.run(pool.as_sqlx())`), listeners, `COPY`. What is done with it
    /// **is not measured**, but the connections that it uses count as used.
    ///
    /// Do not call its `try_acquire` with [row level security for each session](PoolBuilder::row_level_security): it runs none of
    /// the pool's hooks, so the connection has the rows of the tenant who had it last.
    pub fn as_sqlx(&self) -> &sqlx::Pool<DB> {
        &self.shared.pool
    }
}

impl<DB: MeasuredDatabase> Shared<DB> {
    /// Takes a connection for an operation, whose time has not begun. Without one that operation has failed, or is cancelled.
    async fn acquire_for(&self, call: Call) -> Result<(Running<'_>, PoolConnection<DB>), Error> {
        let Self { pool, monitor, recorder, tenant } = self;
        let acting = call.acting();
        let operation = call.wait::<DB>(recorder);
        let acquire = monitor.acquire();
        // Hooks of the pool may tell the database whose work it is, which need not be polled where it was asked for.
        match pool.acquire().in_tenant(acting).await {
            Ok(connection) => {
                let used = acquire.acquired();
                Ok((operation, PoolConnection::new(connection, used, recorder.clone(), tenant.after_begin.clone())))
            }
            Err(error) => {
                let error_type = error_type::<DB>(&error);
                acquire.failed(error_type);
                operation.failed(error_type);
                Err(error)
            }
        }
    }
}

fn state<DB: MeasuredDatabase>(pool: &sqlx::Pool<DB>) -> PoolState {
    let size = u64::from(pool.size());
    // The two are read one after the other, so a connection may be idle that was not yet open.
    let idle = (pool.num_idle() as u64).min(size);
    PoolState { idle, used: size - idle, max: u64::from(pool.options().get_max_connections()) }
}

impl<DB: MeasuredDatabase> From<sqlx::Pool<DB>> for Pool<DB> {
    fn from(pool: sqlx::Pool<DB>) -> Self {
        Self::builder().wrap(pool)
    }
}

impl<DB: MeasuredDatabase> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<DB: MeasuredDatabase> fmt::Debug for Pool<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("name", &self.name())
            .field("size", &self.size())
            .field("num_idle", &self.num_idle())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
