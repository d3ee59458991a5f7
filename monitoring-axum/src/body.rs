//! The body of a response that is followed to its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::measurement::{End, Entered, Measurement};

/// The inner body, unchanged. The request is recorded when it ends; dropped before that, the request counts as cancelled.
/// What the inner body does in its destructors is still done for the request's tenant.
#[pin_project(PinnedDrop)]
pub(crate) struct FollowedBody {
    /// Taken when this is dropped.
    #[pin]
    inner: Option<AxumBody>,
    /// Never `None`, but for [`Measurement::enter`].
    measurement: Option<Measurement>,
}

impl FollowedBody {
    pub(crate) fn new(inner: AxumBody, measurement: Measurement) -> Self {
        Self { inner: Some(inner), measurement: Some(measurement) }
    }
}

impl Body for FollowedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let entered = Measurement::enter(this.measurement);
        let next = this.inner.as_mut().as_pin_mut().map_or(Poll::Ready(None), |inner| inner.poll_frame(task));
        Entered::leave(entered);
        let next = ready!(next);
        let Some(measurement) = this.measurement else { return Poll::Ready(next) };
        let end = match &next {
            // The server does not ask again once the body says that it has ended, or has the length it declared.
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    measurement.note_trailers(trailers);
                }
                let bytes = frame.data_ref().map_or(0, Bytes::len);
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
impl PinnedDrop for FollowedBody {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let entered = Measurement::enter(this.measurement);
        this.inner.set(None);
        Entered::leave(entered);
    }
}
