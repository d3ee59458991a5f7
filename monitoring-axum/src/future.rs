//! The future of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project::{pin_project, pinned_drop};

use crate::body::ResponseBody;
use crate::measurement::{End, Measurement};

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
    pub(crate) fn new(inner: F, measurement: Option<Measurement>) -> Self {
        Self { inner: Some(inner), measurement }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = ready!(Measurement::around(this.measurement, || {
            let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
            let result = ready!(inner.poll(task));
            this.inner.set(None);
            Poll::Ready(result)
        }));
        let mut measurement = this.measurement.take();
        Poll::Ready(match result {
            Ok(response) => {
                if let Some(measurement) = &mut measurement {
                    measurement.respond(&response);
                }
                Ok(response.map(|body| ResponseBody::new(body, measurement)))
            }
            Err(error) => {
                if let Some(measurement) = &mut measurement {
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
        Measurement::around(this.measurement, || this.inner.set(None));
    }
}
