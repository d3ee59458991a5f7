//! The future of a response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::call::Call;
use super::failure::FailedCall;
use super::labels::End;
use super::message::ClientResponse;

/// The response to come of a [`ClientService`](super::ClientService). Dropped before it is there, the call counts as
/// cancelled.
#[pin_project]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    call: Call,
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, call: Call) -> Self {
        Self { inner, call }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    /// Without the future inside, which may show the URL.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ResponseFuture").field("call", &self.call).finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: ClientResponse,
    E: FailedCall,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(task));
        this.call.end(match &result {
            Ok(response) => End::Response(response.status()),
            Err(error) => End::Failed(error.client_error()),
        });
        Poll::Ready(result)
    }
}
