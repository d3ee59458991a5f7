//! How large a request's body is.
//!
//! Most requests declare the length of their body, or have none: that is taken as it is, and nothing is wrapped. A body
//! of unknown length, or one so long that its length is not taken on trust, is counted as the service reads it, if it is
//! axum's own body type, which can be wrapped without changing the type that the service inside sees.

use std::any::Any;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::labels::BodyLabels;
use crate::route::Route;
use crate::settings::Settings;

/// A client can declare any length without ever sending it, and be answered all the same. A mebibyte is believed; one
/// more allocation is nothing beside reading more than that.
const BELIEVED: u64 = 1 << 20;

/// The length of a body where it is declared, and can be believed.
pub(crate) fn declared_length<B: Body>(body: &B) -> Option<u64> {
    body.size_hint().exact().filter(|length| *length <= BELIEVED)
}

/// Counts what is read of a body whose length is not known.
pub(crate) fn count<B: 'static>(body: &mut B, settings: &Arc<Settings>, route: Route) {
    let body: &mut dyn Any = body;
    if let Some(body) = body.downcast_mut::<AxumBody>() {
        let inner = mem::take(body);
        *body = AxumBody::new(CountedBody { inner, read: 0, settings: Arc::clone(settings), route });
    }
}

/// A request's body, unchanged. What was read of it is recorded when it is dropped.
#[pin_project(PinnedDrop)]
struct CountedBody {
    #[pin]
    inner: AxumBody,
    read: u64,
    settings: Arc<Settings>,
    route: Route,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let next = ready!(this.inner.poll_frame(task));
        if let Some(Ok(frame)) = &next {
            *this.read = this.read.saturating_add(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[pinned_drop]
impl PinnedDrop for CountedBody {
    fn drop(self: Pin<&mut Self>) {
        if let Some(instruments) = self.settings.instruments.get() {
            instruments.request_size.record(BodyLabels { http_route: self.route.template }, self.read);
        }
    }
}
