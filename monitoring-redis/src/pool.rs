//! The pool: where connections come from.

use std::fmt;
use std::sync::Arc;

use deadpool::managed;
use deadpool_redis::{Config, Status, Timeouts};
use monitoring_core::database::{Operation, PoolMonitor, PoolState, System};

use crate::builder::PoolBuilder;
use crate::connection::Connection;
use crate::error::{PoolError, SetupError};
use crate::error_type;
use crate::record::Recorder;
use crate::topology::{Server, Topology};

/// A measured pool of connections, over deadpool's. It connects when first asked to. A clone is another handle to the same
/// pool.
///
/// To one server, unless the type says otherwise: `ClusterPool` and `SentinelPool` are pools too, and do the same.
pub struct Pool<T: Topology = Server> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Topology> {
    pool: managed::Pool<T::Manager, T::Pooled>,
    monitor: PoolMonitor,
    recorder: Arc<Recorder>,
    /// The server's address, for messages.
    server: Box<str>,
}

impl Pool {
    /// A pool by deadpool's configuration, recorded in the global monitoring.
    ///
    /// # Errors
    /// When the configuration is invalid. Whether there is a server is seen only by [`get`](Self::get).
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        Self::builder().config(config.clone()).build()
    }

    /// A pool by a URL such as `redis://127.0.0.1:6379/0`, recorded in the global monitoring.
    ///
    /// # Errors
    /// When the URL is invalid. Whether there is a server is seen only by [`get`](Self::get).
    pub fn from_url(url: &str) -> Result<Self, SetupError> {
        Self::builder().url(url).build()
    }

    /// Sets the server, the name, the options or the monitoring of a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new(Config::default())
    }
}

impl<T: Topology> Pool<T> {
    pub(crate) fn over(
        pool: managed::Pool<T::Manager, T::Pooled>,
        name: &str,
        server: &str,
        recorder: Recorder,
    ) -> Self {
        let watched = pool.clone();
        let monitor = PoolMonitor::new(recorder.instruments.clone(), name, move || state(watched.status()));
        Self { shared: Arc::new(Shared { pool, monitor, recorder: Arc::new(recorder), server: server.into() }) }
    }

    /// Takes a connection, when one is free or can be made, within the time-outs that the pool was configured with.
    ///
    /// # Errors
    /// When the server cannot be reached or turns us away, when there is no connection within the time-outs, or when the
    /// pool is closed.
    pub async fn get(&self) -> Result<Connection<T>, PoolError> {
        self.timeout_get(&self.timeouts()).await
    }

    /// As [`get`](Self::get), within other time-outs.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn timeout_get(&self, timeouts: &Timeouts) -> Result<Connection<T>, PoolError> {
        let Shared { pool, monitor, recorder, server } = &*self.shared;
        // Whoever gets no connection cannot begin an operation: that is what has failed, or was cancelled.
        let operation = Operation::waiting(monitor.instruments(), System::Redis, Operation::CONNECT);
        let acquire = monitor.acquire();
        match pool.timeout_get(timeouts).await {
            Ok(connection) => {
                operation.discard();
                Ok(Connection::new(connection, Arc::clone(recorder), acquire.acquired()))
            }
            Err(error) => {
                let error = PoolError::new(monitor.name(), server, error);
                let error_type = error_type::of_pool_error(&error);
                acquire.failed(error_type);
                operation.failed(error_type);
                Err(error)
            }
        }
    }

    /// The pool's name in the label `db_client_connection_pool_name`.
    pub fn name(&self) -> &str {
        self.shared.monitor.name()
    }

    /// How many connections there are, and how many wait for one, about.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.pool.status()
    }

    /// The time-outs that the pool was configured with.
    pub fn timeouts(&self) -> Timeouts {
        self.shared.pool.timeouts()
    }

    /// Changes how many connections the pool may open. Surplus ones are closed when they are idle.
    pub fn resize(&self, max_size: usize) {
        self.shared.pool.resize(max_size);
    }

    /// Closes the pool: who waits for a connection, or asks for one later, gets an error.
    pub fn close(&self) {
        self.shared.pool.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.shared.pool.is_closed()
    }

    /// deadpool's pool, for what takes one. What is done with it **is not measured**, but its connections count as used.
    pub fn as_deadpool(&self) -> &managed::Pool<T::Manager, T::Pooled> {
        &self.shared.pool
    }
}

impl<T: Topology> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// deadpool's figures are read one after the other, but never give more connections than there are.
fn state(Status { max_size, size, available, .. }: Status) -> PoolState {
    let used = size.saturating_sub(available);
    PoolState { idle: available as u64, used: used as u64, max: max_size as u64 }
}

impl From<deadpool_redis::Pool> for Pool {
    fn from(pool: deadpool_redis::Pool) -> Self {
        Self::builder().wrap(pool)
    }
}

impl<T: Topology> fmt::Debug for Pool<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("name", &self.name())
            .field("status", &self.status())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
