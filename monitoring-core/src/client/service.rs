//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::call::Call;
use super::failure::FailedCall;
use super::future::ResponseFuture;
use super::layer::Settings;
use super::message::{ClientRequest, ClientResponse};

/// Measures the calls that it hands to the client inside, made by [`ClientLayer`](super::ClientLayer).
#[derive(Clone)]
pub struct ClientService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> ClientService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }

    /// The client inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The client inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> fmt::Debug for ClientService<S> {
    /// Without the client inside, which may show headers that it sends with each request.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S, R> Service<R> for ClientService<S>
where
    S: Service<R>,
    R: ClientRequest,
    S::Response: ClientResponse,
    S::Error: FailedCall,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: R) -> Self::Future {
        let call = Call::start(&self.settings, &mut request);
        ResponseFuture::new(self.inner.call(request), call)
    }
}
