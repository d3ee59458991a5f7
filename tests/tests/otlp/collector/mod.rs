//! A receiver of OTLP metrics, for as long as a value lives: `http.rs` and `grpc.rs` are its two protocols.

mod grpc;
mod http;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::oneshot;
use tonic::transport::ServerTlsConfig;

pub(crate) use grpc::{Certificate, Identity};

/// What a collector does with a request that it has read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Takes it.
    Accept,
    /// Takes it, and says that it has rejected so many points of it.
    Reject(i64),
    /// Answers with that status, and `Retry-After` (by gRPC `RetryInfo`) in seconds.
    Fail(u16, Option<u64>),
    /// Takes it, and answers with that status and nothing else (HTTP only).
    Silent(u16),
    /// Takes it, but refuses those of the tenant (HTTP only).
    Refuse(&'static str),
    /// Answers with these bytes, as if it had taken it (HTTP only).
    Answer(Vec<u8>),
    /// Never answers.
    Stall,
    /// Sends the head of an answer, and then a byte of its body now and then (HTTP only).
    Drip,
    /// Says that it has moved to another path of itself (HTTP only).
    Move,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The path; empty by gRPC.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) request: ExportMetricsServiceRequest,
    /// Whether the answer said that all was well.
    pub(crate) was_accepted: bool,
}

/// The protocol that a collector speaks.
pub(crate) enum Protocol {
    Http,
    Grpc,
    GrpcOverTls(Identity),
    /// The client must have a certificate of that authority.
    GrpcOverMutualTls(Identity, Certificate),
}

/// What the handlers of a collector share.
struct State {
    mode: Mutex<Mode>,
    received: Mutex<Vec<Received>>,
}

impl State {
    fn mode(&self) -> Mode {
        self.mode.lock().unwrap().clone()
    }

    fn keep(&self, received: Received) {
        self.received.lock().unwrap().push(received);
    }
}

pub(crate) struct Collector {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// On a free port.
    pub(crate) fn start(protocol: Protocol) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), protocol)
    }

    /// At an address where another one was.
    pub(crate) fn start_at(address: SocketAddr, protocol: Protocol) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = match protocol {
            Protocol::Http | Protocol::Grpc => "http",
            Protocol::GrpcOverTls(_) | Protocol::GrpcOverMutualTls(..) => "https",
        };
        let state = Arc::new(State { mode: Mutex::new(Mode::Accept), received: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serve = async {
                    match protocol {
                        Protocol::Http => http::serve(listener, shared).await,
                        Protocol::Grpc => grpc::serve(listener, shared, None).await,
                        Protocol::GrpcOverTls(identity) => {
                            let tls = ServerTlsConfig::new().identity(identity);
                            grpc::serve(listener, shared, Some(tls)).await;
                        }
                        Protocol::GrpcOverMutualTls(identity, authority) => {
                            let tls = ServerTlsConfig::new().identity(identity).client_ca_root(authority);
                            grpc::serve(listener, shared, Some(tls)).await;
                        }
                    }
                };
                // When it stops, connections are cut off, as when its process ends.
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, scheme, state, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for metrics by HTTP.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/v1/metrics", self.address)
    }

    /// The URL without a path.
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.state.received.lock().unwrap()
    }

    /// The points of the requests that were accepted.
    pub(crate) fn accepted_points(&self) -> u64 {
        let received = self.received();
        received.iter().filter(|one| one.was_accepted).map(|one| super::points::count(&one.request)).sum()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
