//! Connections that are used again and again leave a service that is about to end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use monitoring_core::Monitoring;
use tower_layer::Layer;
use tower_service::Service;

/// Says `Connection: close` in the answers of a service that [is about to end](Monitoring::is_draining), by HTTP/1.
///
/// A load balancer that has noticed that the service is not ready sends no new connections; but the ones that clients keep
/// open stay where they are, and a request that is sent on one at the very moment the server closes it is lost. This way
/// they go elsewhere in time, without losing one. It costs an atomic load and a lock that nobody else takes; put it outside
/// of the other layers.
///
/// ```
/// use axum::{Router, routing::get};
/// use monitoring_core::Monitoring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { "paid" }))
///     .layer(monitoring_axum::layer())
///     .layer(monitoring_axum::close_while_draining(&monitoring));
/// # let _ = app;
/// # Ok(()) }
/// ```
pub fn close_while_draining(monitoring: &Monitoring) -> CloseWhileDrainingLayer {
    CloseWhileDrainingLayer { monitoring: monitoring.clone() }
}

/// The layer that [`close_while_draining`] gives.
#[derive(Clone, Debug)]
pub struct CloseWhileDrainingLayer {
    monitoring: Monitoring,
}

impl<S> Layer<S> for CloseWhileDrainingLayer {
    type Service = CloseWhileDraining<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CloseWhileDraining { inner, monitoring: self.monitoring.clone() }
    }
}

/// A service whose connections are closed while it drains; made by [`close_while_draining`].
#[derive(Clone, Debug)]
pub struct CloseWhileDraining<S> {
    inner: S,
    monitoring: Monitoring,
}

impl<S, B, R> Service<Request<B>> for CloseWhileDraining<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CloseWhileDrainingFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Later versions have no such header.
        let monitoring = (request.version() <= Version::HTTP_11).then(|| self.monitoring.clone());
        CloseWhileDrainingFuture { response: self.inner.call(request), monitoring }
    }
}

/// The response of a [`CloseWhileDraining`].
#[derive(Debug)]
#[pin_project::pin_project]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct CloseWhileDrainingFuture<F> {
    #[pin]
    response: F,
    /// `None` if the connection is none of HTTP/1.
    monitoring: Option<Monitoring>,
}

impl<F, R, E> Future for CloseWhileDrainingFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.response.poll(task));
        // Of a 101 the header is part of the agreement, and HTTP ends with it anyway.
        if let Ok(response) = &mut response
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
            && this.monitoring.as_ref().is_some_and(Monitoring::is_draining)
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(response)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn connection(monitoring: &Monitoring, version: Version) -> Option<HeaderValue> {
        let inner = service_fn(|_request| async { Ok::<_, Infallible>(Response::new(())) });
        let mut request = Request::new(());
        *request.version_mut() = version;
        let response = close_while_draining(monitoring).layer(inner).oneshot(request).await.unwrap();
        response.headers().get(CONNECTION).cloned()
    }

    #[tokio::test]
    async fn a_connection_of_http_1_is_closed_once_the_service_drains() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        assert_eq!(connection(&monitoring, Version::HTTP_11).await, None);
        monitoring.begin_draining();
        for (version, closes) in [(Version::HTTP_10, true), (Version::HTTP_11, true), (Version::HTTP_2, false)] {
            assert_eq!(connection(&monitoring, version).await.is_some(), closes, "{version:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_becomes_another_protocol_s_is_handed_over_as_agreed() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        monitoring.begin_draining();
        let inner = service_fn(|_request: Request<()>| async {
            let response = Response::builder().status(101).header(CONNECTION, "upgrade").body(());
            Ok::<_, Infallible>(response.unwrap())
        });
        let response = close_while_draining(&monitoring).layer(inner).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.headers()[CONNECTION], "upgrade");
    }
}
