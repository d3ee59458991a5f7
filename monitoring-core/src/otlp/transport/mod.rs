//! How one request reaches the collector, and what its answer means.
//!
//! `answer.rs` tells what is worth another try; `http.rs` and `grpc.rs` send a request each by their protocol; `tls.rs`
//! says whom the connection trusts.

mod answer;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod http;
pub(super) mod tls;

use ::http::{HeaderMap, HeaderValue, Uri};
use bytes::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

pub(super) use answer::{Answer, Fault};

use super::config::{OtlpCompression, OtlpProtocol};
use crate::dropped::DropReason;

/// What requests say of who sends them, unless a header is set.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION")));

/// The most bytes of an answer that are read: it says little.
const MAX_ANSWER: usize = 64 << 10;

/// A connection to the collector, opened by the first request.
pub(super) enum Transport {
    Http(http::HttpTransport),
    #[cfg(feature = "otlp-grpc")]
    Grpc(grpc::GrpcTransport),
}

impl Transport {
    pub(super) fn new(protocol: OtlpProtocol, target: Uri, tls: ClientConfig, compression: OtlpCompression) -> Self {
        match protocol {
            OtlpProtocol::HttpProtobuf => Self::Http(http::HttpTransport::new(target, tls, compression)),
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => Self::Grpc(grpc::GrpcTransport::new(target, tls, compression)),
        }
    }

    /// The request as it is sent, however often.
    pub(super) fn prepare(&self, message: Bytes) -> Bytes {
        match self {
            Self::Http(http) => http.prepare(message),
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(_) => message,
        }
    }

    /// Sends a request, once.
    pub(super) async fn send(&mut self, message: &Bytes, headers: &HeaderMap) -> Answer {
        match self {
            Self::Http(http) => http.send(message, headers).await,
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(grpc) => grpc.send(message, headers).await,
        }
    }
}

type Connections<B> = Client<HttpsConnector<HttpConnector>, B>;

/// What a connection speaks: one of the two, as the protocol says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HttpVersion {
    One,
    #[cfg(feature = "otlp-grpc")]
    Two,
}

/// Connections that are opened when needed; redirects and proxies are not followed.
fn connections<B>(tls: ClientConfig, version: HttpVersion) -> Connections<B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let executor = TokioExecutor::new();
    match version {
        HttpVersion::One => Client::builder(executor).build(connector.enable_http1().build()),
        #[cfg(feature = "otlp-grpc")]
        HttpVersion::Two => Client::builder(executor).http2_only(true).build(connector.enable_http2().build()),
    }
}

/// What became of a request that was cut off: only without a connection it is certain that it did not arrive.
fn lost(error: &(dyn std::error::Error + 'static)) -> DropReason {
    let mut causes = std::iter::successors(Some(error), |cause| cause.source());
    let is_connect = causes
        .any(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect()));
    if is_connect { DropReason::CollectorUnavailable } else { DropReason::Unanswered }
}

/// An error with what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
