//! The metrics' own listener.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use monitoring_core::Monitoring;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::error::ListenError;
use crate::routes::open_routes;

/// Scrapers and probes are few; whoever comes beyond this waits to be accepted.
const MAX_CONNECTIONS: usize = 32;
/// How long a request head may take to arrive, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After that a connection is closed at the next opportunity, so that a reader that stalls gives its place back.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long a response that is being written may then still take.
const LAST_RESPONSE: Duration = Duration::from_secs(10);
/// The same when the service shuts down and others are waiting.
const LAST_RESPONSE_WHEN_DRAINING: Duration = Duration::from_secs(1);
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
/// `/metrics` is open to whoever can reach that port. It speaks HTTP/1.1, to 32 connections at a time; a head that does
/// not arrive within 30 seconds ends the connection. [`Monitoring::shutdown`] stops it.
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
    let mut draining = pin!(monitoring.draining());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut draining => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(serve_connection(stream, router.clone(), monitoring.draining()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the metrics listener cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection(stream: TcpStream, router: Router, draining: impl Future<Output = ()>) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let last_response = tokio::select! {
        // An error is the scraper's going away, or its not speaking HTTP: nothing to tell anyone.
        _ended = connection.as_mut() => return,
        () = draining => LAST_RESPONSE_WHEN_DRAINING,
        () = sleep(LIFETIME) => LAST_RESPONSE,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(last_response, connection).await;
}
