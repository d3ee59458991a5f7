//! The response to a scrape.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Frame;
use monitoring_core::Monitoring;

use super::admission::Scrapes;
use super::connection::Connection;
use super::content::{Content, View};

const TOO_MANY: &str = "too many scrapes are being written already: scrape less often, or from fewer places\n";

/// Answers a scrape of that view.
///
/// # Panics
/// Outside of a Tokio runtime with its timer enabled.
pub(crate) async fn answer(monitoring: &Monitoring, view: View, request: Parts) -> Response {
    let content = Content::negotiate(view, &request.headers);
    if request.method == Method::HEAD {
        return (headers(content), Body::new(LeftOut)).into_response();
    }
    let connection = request.extensions.get::<Connection>().cloned();
    match Scrapes::of(monitoring).answer(monitoring, content, connection).await {
        Some(body) => (headers(content), Body::new(body)).into_response(),
        None => refusal(view),
    }
}

/// Refuses a scrape of the platform, for which there is no place at all.
pub(crate) fn refuse(monitoring: &Monitoring) -> Response {
    Scrapes::of(monitoring).count_refusal();
    refusal(View::Platform)
}

/// How long the answer to a scrape may take until it is at its end, or cut off.
pub(crate) fn longest_scrape(monitoring: &Monitoring) -> Duration {
    Scrapes::of(monitoring).limits().longest()
}

fn refusal(view: View) -> Response {
    let headers = [(RETRY_AFTER, HeaderValue::from_static("1")), (CACHE_CONTROL, caching(view))];
    (StatusCode::SERVICE_UNAVAILABLE, headers, TOO_MANY).into_response()
}

fn headers(content: Content) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content.format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(CACHE_CONTROL, caching(content.view));
    if let Some(encoding) = content.encoding.header() {
        headers.insert(CONTENT_ENCODING, encoding);
    }
    headers
}

/// Each scrape is of its moment, and a tenant's is nobody else's.
pub(crate) fn caching(view: View) -> HeaderValue {
    HeaderValue::from_static(match view {
        View::Platform => "no-store",
        View::Tenant(_) => "private, no-store",
    })
}

/// The body that a `HEAD` does not get. An empty one would have the length 0, which is not that of the answer to a `GET`.
struct LeftOut;

impl http_body::Body for LeftOut {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }
}
