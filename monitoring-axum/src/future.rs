//! The future of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project::{pin_project, pinned_drop};

use crate::grpc::Call;
use crate::measurement::{End, Entered, Measurement};

/// The response to come of a [`MonitoringService`](crate::MonitoringService). Dropped before it is there, the request
/// counts as cancelled. What the service inside does in its destructors is still done for the request's tenant.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ResponseFuture<F> {
    /// Taken when it is ready, or when this is dropped.
    #[pin]
    inner: Option<F>,
    /// `None` where nothing is measured.
    measurement: Option<Measurement>,
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(crate) fn new(inner: Option<F>, measurement: Option<Measurement>) -> Self {
        Self { inner, measurement }
    }

    #[inline]
    pub(crate) fn measurement(&mut self) -> &mut Option<Measurement> {
        &mut self.measurement
    }

    /// Has the service's answer to wait for.
    #[inline]
    pub(crate) fn start(&mut self, inner: F, call: Option<Call>) {
        self.inner = Some(inner);
        if let Some(measurement) = &mut self.measurement {
            measurement.note_call(call);
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<AxumBody>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let entered = Measurement::enter(this.measurement);
        let result = this.inner.as_mut().as_pin_mut().map_or(Poll::Pending, |inner| inner.poll(task));
        if result.is_ready() {
            this.inner.set(None);
        }
        Entered::leave(entered);
        let result = ready!(result);
        let measurement = this.measurement.take();
        Poll::Ready(match result {
            Ok(response) => {
                // For axum's own body this is a move.
                let response = response.map(AxumBody::new);
                Ok(match measurement {
                    Some(measurement) => measurement.respond(response),
                    None => response,
                })
            }
            Err(error) => {
                if let Some(mut measurement) = measurement {
                    measurement.end(End::ServiceFailed);
                }
                Err(error)
            }
        })
    }
}

#[pinned_drop]
impl<F> PinnedDrop for ResponseFuture<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.inner.is_some() {
            let entered = Measurement::enter(this.measurement);
            this.inner.set(None);
            Entered::leave(entered);
        }
    }
}
