//! What is measured of one request: its name, how long it took, how it ended, and whether it found what it asked for.

use std::io;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Pipeline, RedisResult, Value};
use monitoring_core::Instruments;
use monitoring_core::database::{DatabaseInstruments, ErrorType, Operation, System};

use crate::hits::Hits;
use crate::transport::Transport;
use crate::{error_type, operation_name};

/// Where the requests of a pool are recorded, and what they all have in common.
pub(crate) struct Recorder {
    pub(crate) instruments: Instruments<DatabaseInstruments>,
    /// `None` if they are not counted.
    pub(crate) hits: Option<Hits>,
    /// After this time a request has failed, if the client does not see to that itself.
    pub(crate) deadline: Option<Duration>,
}

impl Recorder {
    /// Sends one command, as one operation.
    pub(crate) async fn command(&self, connection: &mut impl Transport, command: &Cmd) -> RedisResult<Value> {
        let name = operation_name::of_command(command);
        let reply = self.operation(connection, command, name).await;
        if let Some(hits) = &self.hits {
            hits.count(name, command, &reply);
        }
        reply
    }

    /// As [`command`](Self::command), for who counts hits himself.
    #[cfg(feature = "cache")]
    pub(crate) async fn uncounted(&self, connection: &mut impl Transport, command: &Cmd) -> RedisResult<Value> {
        self.operation(connection, command, operation_name::of_command(command)).await
    }

    async fn operation(
        &self,
        connection: &mut impl Transport,
        command: &Cmd,
        name: &'static str,
    ) -> RedisResult<Value> {
        let operation = Operation::start(&self.instruments, System::Redis, name);
        let reply = self.limited(connection.command(command)).await;
        finish(operation, &reply, error_type::of_reply);
        reply
    }

    /// Sends a pipeline, as one operation.
    pub(crate) async fn pipeline(
        &self,
        connection: &mut impl Transport,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let operation = Operation::start(&self.instruments, System::Redis, operation_name::of_pipeline(pipeline));
        let replies = self.limited(connection.pipeline(pipeline, offset, count)).await;
        finish(operation, &replies, |replies| match replies.as_slice() {
            // The server answers EXEC with nil when a watched key has changed.
            [Value::Nil] if pipeline.is_transaction() => Some(ErrorType::Conflict),
            replies => replies.iter().find_map(error_type::of_reply),
        });
        replies
    }

    async fn limited<R>(&self, request: impl Future<Output = RedisResult<R>>) -> RedisResult<R> {
        match self.deadline {
            None => request.await,
            Some(deadline) => tokio::time::timeout(deadline, request)
                .await
                .unwrap_or_else(|_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut).into())),
        }
    }
}

fn finish<T>(operation: Operation<'_>, reply: &RedisResult<T>, error_in: impl FnOnce(&T) -> Option<ErrorType>) {
    operation.end(match reply {
        Ok(reply) => error_in(reply),
        Err(error) => Some(error_type::of_error(error)),
    });
}
