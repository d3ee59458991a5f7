//! Any connection, measured, without a pool.

use std::fmt;
use std::sync::Arc;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{Cmd, Pipeline, RedisFuture, Value};
use monitoring_core::{Instruments, Monitoring, RegistryError};

use crate::hits::Hits;
use crate::record::Recorder;
use crate::transport::Boxed;

/// A connection that came from elsewhere, such as a `redis::aio::ConnectionManager`, with every command and pipeline
/// measured as on a [`Connection`](crate::Connection) of a pool.
///
/// Costs what a pool's connection costs for each request, and an allocation more: the future of the wrapped connection is
/// boxed by its own trait. A clone is another handle to the same connection.
///
/// ```
/// use monitoring_redis::Measured;
/// use monitoring_redis::redis::{AsyncCommands, Client, RedisResult};
///
/// async fn count(client: &Client) -> RedisResult<u64> {
///     let mut connection = Measured::new(client.get_multiplexed_async_connection().await?, "counters");
///     connection.incr("visits", 1).await
/// }
/// ```
#[derive(Clone)]
pub struct Measured<C> {
    connection: Boxed<C>,
    recorder: Arc<Recorder>,
}

impl<C: ConnectionLike> Measured<C> {
    /// Recorded in the global monitoring, from the moment it is installed. `name` is the label `cache` of hits and misses,
    /// at most 256 bytes.
    pub fn new(connection: C, name: &str) -> Self {
        Self::recorded(connection, name, Instruments::global(), Instruments::global())
    }

    /// As [`new`](Self::new), recorded in that monitoring.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn recorded_in(monitoring: &Monitoring, connection: C, name: &str) -> Result<Self, RegistryError> {
        Ok(Self::recorded(connection, name, Instruments::of(monitoring)?, Instruments::of(monitoring)?))
    }

    fn recorded(
        connection: C,
        name: &str,
        instruments: Instruments<monitoring_core::database::DatabaseInstruments>,
        own: Instruments<crate::instruments::RedisInstruments>,
    ) -> Self {
        let recorder = Recorder { instruments, hits: Some(Hits::new(own, name)), deadline: None };
        Self { connection: Boxed(connection), recorder: Arc::new(recorder) }
    }

    /// The connection: what is done on it **is not measured**.
    pub fn into_inner(self) -> C {
        self.connection.0
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Measured<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.recorder.command(&mut self.connection, command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.recorder.pipeline(&mut self.connection, pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        self.connection.0.get_db()
    }
}

impl<C: ConnectionLike> fmt::Debug for Measured<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Measured").field("db", &self.connection.0.get_db()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use deadpool_redis::redis::cmd;
    use futures_util::FutureExt;

    use super::*;

    /// Answers in this process.
    struct Nothing;

    impl ConnectionLike for Nothing {
        fn req_packed_command<'a>(&'a mut self, _command: &'a Cmd) -> RedisFuture<'a, Value> {
            Box::pin(ready(Ok(Value::Nil)))
        }

        fn req_packed_commands<'a>(
            &'a mut self,
            _pipeline: &'a Pipeline,
            _offset: usize,
            _count: usize,
        ) -> RedisFuture<'a, Vec<Value>> {
            Box::pin(ready(Ok(Vec::new())))
        }

        fn get_db(&self) -> i64 {
            0
        }
    }

    #[test]
    fn a_measured_command_allocates_its_future_and_nothing_else() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let mut measured = Measured::recorded_in(&monitoring, Nothing, "sessions").unwrap();
        let get = cmd("GET").arg("a").take();
        let send = |connection: &mut dyn ConnectionLike| {
            let send = || assert_eq!(connection.req_packed_command(&get).now_or_never(), Some(Ok(Value::Nil)));
            allocation_counter::measure(send).count_total
        };
        send(&mut measured);
        let bare = send(&mut Nothing);
        assert_eq!(send(&mut measured), bare + 1);
        assert!(monitoring.render().contains(r#"db_operation_name="GET"} 2"#), "{}", monitoring.render());
    }
}
