//! How a request gets onto a connection, as a future that is not boxed: the wrapper around it is boxed once, as the trait
//! [`ConnectionLike`] demands, and so costs no allocation of its own.

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::{Cmd, Pipeline, RedisResult, Value};

/// Sends requests.
pub trait Transport {
    /// Sends one command.
    fn command(&mut self, command: &Cmd) -> impl Future<Output = RedisResult<Value>> + Send;

    /// Sends a pipeline, and gives its `count` replies from `offset` on.
    fn pipeline(
        &mut self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> impl Future<Output = RedisResult<Vec<Value>>> + Send;
}

impl Transport for MultiplexedConnection {
    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.send_packed_command(command).await
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.send_packed_commands(pipeline, offset, count).await
    }
}

/// The client of a cluster boxes its futures itself.
#[cfg(feature = "cluster")]
impl Transport for deadpool_redis::cluster::ClusterConnection {
    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.req_packed_command(command).await
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.req_packed_commands(pipeline, offset, count).await
    }
}

/// Any other connection, whose futures are boxed by the trait.
#[derive(Clone)]
pub(crate) struct Boxed<C>(pub(crate) C);

impl<C: ConnectionLike + Send> Transport for Boxed<C> {
    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.0.req_packed_command(command).await
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count).await
    }
}
