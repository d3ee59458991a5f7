//! The metrics' own listener; `places.rs` says which connections there may be.

mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use monitoring_core::Monitoring;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

use self::places::{Place, Places};
use crate::error::ListenError;
use crate::routes::open_routes;
use crate::scrape::{Connection, longest_scrape, refuse};

/// How long a request head may take to arrive, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a response waits in memory for the connection; no request head is longer.
const MAX_BUFFER: usize = 64 * 1024;
/// After that a connection is closed at the next opportunity.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long a response that is being written may still take when the service shuts down and others are waiting.
const LAST_RESPONSE: Duration = Duration::from_secs(1);
/// How long to wait when the system has no more file handles.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The metrics' own listener, opened by [`listen`]. It serves until [`Monitoring::shutdown`], also when this handle is
/// dropped.
#[derive(Clone, Copy, Debug)]
pub struct MetricsListener {
    address: SocketAddr,
}

impl MetricsListener {
    /// Where it listens: with the port that the system chose, if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves `/metrics`, `/livez` and `/readyz` on a listener of their own, at [`Monitoring::metrics_address`]: by default
/// 127.0.0.1:9464, set by `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`.
///
/// `/metrics`, and why the service is not ready, are open to whoever can reach that port. It speaks HTTP/1.1, to 64 connections at a time: one more takes the
/// place of the one that is idle for longest, and of 32 the answer to a scrape may be on its way, so that probes are
/// always answered. A head that does not arrive within 30 seconds ends the connection, and so does a scrape that is slower
/// than the [`ScrapeLimits`](crate::ScrapeLimits). [`Monitoring::shutdown`] stops it.
///
/// # Errors
/// When the address cannot be bound: the error names the setting. Outside of a Tokio runtime with I/O and time enabled.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
///
/// let monitoring = Monitoring::builder("billing").metrics_address(([127, 0, 0, 1], 0).into()).build()?;
/// let listener = monitoring_axum::listen(&monitoring).await?;
/// println!("metrics: http://{}/metrics", listener.address());
/// # assert_ne!(listener.address().port(), 0);
/// monitoring.shutdown(Duration::from_secs(5)).await?;
/// # Ok(()) }
/// ```
pub async fn listen(monitoring: &Monitoring) -> Result<MetricsListener, ListenError> {
    let wanted = monitoring.metrics_address();
    let failed = |source| ListenError::new(wanted, source);
    let runtime = Handle::try_current().map_err(|_outside| ListenError::NoRuntime)?;
    // Tokio panics in a runtime without I/O or time. A task of its own ends by that in place of the caller.
    let opened = runtime.spawn(open(wanted)).await.map_err(|_panicked| ListenError::NoRuntime)?;
    let listener = opened.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    runtime.spawn(monitoring.track(serve(listener, monitoring.clone())));
    Ok(MetricsListener { address })
}

/// Opens the socket where there is also a clock, which serving it needs.
async fn open(address: SocketAddr) -> io::Result<TcpListener> {
    sleep(Duration::ZERO).await;
    TcpListener::bind(address).await
}

async fn serve(listener: TcpListener, monitoring: Monitoring) {
    let router = open_routes(&monitoring);
    let places = Places::default();
    let mut draining = pin!(monitoring.draining());
    let mut connections = JoinSet::new();
    // Until when not to accept, while the system cannot.
    let mut pause = None;
    loop {
        tokio::select! {
            () = &mut draining => break,
            Some(_ended) = connections.join_next() => {}
            () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some_and(|end| end > Instant::now()) => {}
            accepted = listener.accept(), if pause.is_none_or(|end| end <= Instant::now()) => match accepted {
                Ok((stream, _peer)) => {
                    pause = None;
                    let place = places.take();
                    connections.spawn(serve_connection(stream, router.clone(), monitoring.clone(), place));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    // Once, until a connection is accepted again.
                    if pause.is_none() {
                        tracing::warn!(%error, "the metrics listener cannot accept connections");
                    }
                    pause = Some(Instant::now() + ACCEPT_PAUSE);
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether a connection has ended before it was accepted: the next one has nothing to do with that.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn serve_connection(stream: TcpStream, router: Router, monitoring: Monitoring, place: Place) {
    let mut draining = pin!(monitoring.draining());
    let this: &Connection = place.connection();
    let service = service_fn(|request: Request<Incoming>| answer(&monitoring, &router, &place, request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // An error is the scraper's going away, or its not speaking HTTP: nothing to tell anyone.
        _ended = connection.as_mut() => return,
        // Nothing is read of the answer to a scrape, or the place is another's: closed like that, it is no answer.
        () = this.ended() => return,
        () = &mut draining => {}
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ended = connection.as_mut() => return,
                () = this.ended() => return,
                () = sleep(longest_scrape(&monitoring)) => return,
                () = &mut draining => {}
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_RESPONSE, connection).await;
}

async fn answer(
    monitoring: &Monitoring,
    router: &Router,
    place: &Place,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    request.extensions_mut().insert(place.connection().clone());
    let Some(answering) = place.answer(request.uri().path() == "/metrics") else {
        return Ok(refuse(monitoring));
    };
    let response = router.clone().call(request).await?;
    Ok(response.map(|body| Body::new(answering.until_end_of(body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ended_before_it_was_accepted_is_no_fault_of_the_listener() {
        assert!(is_of_the_connection(&io::ErrorKind::ConnectionAborted.into()));
        assert!(is_of_the_connection(&io::ErrorKind::ConnectionReset.into()));
        // Too many files are open.
        assert!(!is_of_the_connection(&io::Error::from_raw_os_error(24)));
    }
}
