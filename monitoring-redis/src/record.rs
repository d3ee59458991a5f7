//! What is measured of one request: its name, how long it took, and how it ended.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, Pipeline, RedisResult, Value};
use monitoring_core::Instruments;
use monitoring_core::database::{DatabaseInstruments, ErrorType, Operation, System};

use crate::{error_type, operation_name};

/// Sends one command, as one operation.
pub(crate) async fn command(
    instruments: &Instruments<DatabaseInstruments>,
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> RedisResult<Value> {
    let operation = Operation::start(instruments, System::Redis, operation_name::of_command(command));
    let reply = connection.send_packed_command(command).await;
    finish(operation, &reply, error_type::of_reply);
    reply
}

/// Sends a pipeline, as one operation.
pub(crate) async fn pipeline(
    instruments: &Instruments<DatabaseInstruments>,
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> RedisResult<Vec<Value>> {
    let operation = Operation::start(instruments, System::Redis, operation_name::of_pipeline(pipeline));
    let replies = connection.send_packed_commands(pipeline, offset, count).await;
    finish(operation, &replies, |replies| match replies.as_slice() {
        // The server answers EXEC with nil when a watched key has changed.
        [Value::Nil] if pipeline.is_transaction() => Some(ErrorType::Conflict),
        replies => replies.iter().find_map(error_type::of_reply),
    });
    replies
}

fn finish<T>(operation: Operation<'_>, reply: &RedisResult<T>, error_in: impl FnOnce(&T) -> Option<ErrorType>) {
    operation.end(match reply {
        Ok(reply) => error_in(reply),
        Err(error) => Some(error_type::of_error(error)),
    });
}
