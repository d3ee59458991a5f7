//! Connections on which everything is measured.

use std::fmt;
use std::sync::Arc;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{Cmd, Pipeline, RedisFuture, Value};
use monitoring_core::database::ConnectionUse;

use crate::record::Recorder;
use crate::topology::{Server, Topology};

/// A connection of a [`Pool`](crate::Pool), given back when dropped.
///
/// It is a [`ConnectionLike`], so `AsyncCommands`, `cmd(…).query_async(&mut connection)` and pipelines work on it, and each
/// of them is one measured operation. Other than deadpool's it does not dereference to the bare connection, which would be
/// a way around the measurement; [`into_inner`](Self::into_inner) is the way out if one is needed.
///
/// ```
/// use monitoring_redis::redis::{AsyncCommands, RedisResult, pipe};
///
/// async fn visit(connection: &mut monitoring_redis::Connection, page: &str) -> RedisResult<u64> {
///     let _: () = connection.sadd("pages", page).await?; // db_operation_name="SADD"
///     let (visits,) = pipe().atomic().incr(page, 1).query_async(connection).await?; // db_operation_name="MULTI"
///     Ok(visits)
/// }
/// ```
#[must_use = "it goes back to the pool when dropped"]
pub struct Connection<T: Topology = Server> {
    pooled: T::Pooled,
    recorder: Arc<Recorder>,
    in_use: ConnectionUse,
}

impl<T: Topology> Connection<T> {
    pub(crate) fn new(pooled: T::Pooled, recorder: Arc<Recorder>, in_use: ConnectionUse) -> Self {
        Self { pooled, recorder, in_use }
    }

    /// The connection as deadpool's: what is done on it **is not measured**, and its use counts as over. It still goes back
    /// to the pool when dropped.
    ///
    /// For what only the bare connection can do.
    #[must_use = "it goes back to the pool when dropped"]
    pub fn into_inner(self) -> T::Pooled {
        let Self { pooled, recorder: _, in_use } = self;
        drop(in_use);
        pooled
    }

    /// A handle that can be cloned, for `redis::aio::transaction_async` and for several requests at once on one connection.
    /// It goes back to the pool with the last clone. Costs an allocation.
    pub fn into_shared(self) -> SharedConnection<T> {
        SharedConnection { bare: self.pooled.as_ref().clone(), connection: Arc::new(self) }
    }

    /// Sends a command whose hits and misses somebody else counts.
    #[cfg(feature = "cache")]
    pub(crate) async fn uncounted(&mut self, command: &Cmd) -> deadpool_redis::redis::RedisResult<Value> {
        self.recorder.uncounted(self.pooled.as_mut(), command).await
    }
}

impl<T: Topology> ConnectionLike for Connection<T> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.recorder.command(self.pooled.as_mut(), command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.recorder.pipeline(self.pooled.as_mut(), pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        self.pooled.as_ref().get_db()
    }
}

impl<T: Topology> fmt::Debug for Connection<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("db", &self.get_db()).finish_non_exhaustive()
    }
}

/// A [`Connection`] that can be cloned, made by [`Connection::into_shared`]. Requests of all clones go over the one
/// connection, are answered in order, and are measured.
///
/// ```
/// use monitoring_redis::redis::{AsyncCommands, RedisResult, aio::transaction_async};
///
/// async fn double(connection: monitoring_redis::Connection, key: &str) -> RedisResult<i64> {
///     let (doubled,) = transaction_async(connection.into_shared(), &[key], |mut connection, mut pipeline| async move {
///         let value: i64 = connection.get(key).await?;
///         pipeline.set(key, value * 2).ignore().get(key).query_async(&mut connection).await
///     })
///     .await?;
///     Ok(doubled)
/// }
/// ```
pub struct SharedConnection<T: Topology = Server> {
    bare: T::Bare,
    connection: Arc<Connection<T>>,
}

impl<T: Topology> Clone for SharedConnection<T> {
    fn clone(&self) -> Self {
        Self { bare: self.bare.clone(), connection: Arc::clone(&self.connection) }
    }
}

impl<T: Topology> ConnectionLike for SharedConnection<T> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.connection.recorder.command(&mut self.bare, command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.connection.recorder.pipeline(&mut self.bare, pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        self.bare.get_db()
    }
}

impl<T: Topology> fmt::Debug for SharedConnection<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedConnection").field("db", &self.get_db()).finish_non_exhaustive()
    }
}
