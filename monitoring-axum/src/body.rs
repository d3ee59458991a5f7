//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::measurement::{End, Measurement};

/// The body of a response that [`MonitoringService`](crate::MonitoringService) measures: the inner body, unchanged. The
/// request is recorded when it ends; dropped before that, the request counts as cancelled. What the inner body does in
/// its destructors is still done for the request's tenant.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct ResponseBody<B> {
    /// Taken when this is dropped.
    #[pin]
    inner: Option<B>,
    /// `None` where nothing is measured.
    measurement: Option<Measurement>,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, measurement: Option<Measurement>) -> Self {
        Self { inner: Some(inner), measurement }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let next = ready!(Measurement::around(this.measurement, || match this.inner.as_mut().as_pin_mut() {
            Some(inner) => inner.poll_frame(task),
            None => Poll::Ready(None),
        }));
        let Some(measurement) = this.measurement else { return Poll::Ready(next) };
        let end = match &next {
            // The server does not ask again once the body says that it has ended, or has the length it declared.
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                let has_ended = || this.inner.as_ref().as_pin_ref().is_none_or(|inner| inner.is_end_stream());
                (measurement.send(bytes) || frame.is_trailers() || has_ended()).then_some(End::Complete)
            }
            Some(Err(_)) => Some(End::BodyFailed),
            None => Some(End::Complete),
        };
        if let Some(end) = end {
            measurement.end(end);
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[pinned_drop]
impl<B> PinnedDrop for ResponseBody<B> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        Measurement::around(this.measurement, || this.inner.set(None));
    }
}
