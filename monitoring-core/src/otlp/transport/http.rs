//! Requests by HTTP/1.1, in protobuf.

use std::io::Write;
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use rustls::ClientConfig;

use super::answer::{Answer, Fault};
use super::{AGENT, Connections, HttpVersion, MAX_ANSWER, chain, connections, lost};
use crate::otlp::config::OtlpCompression;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

pub(in crate::otlp) struct HttpTransport {
    connections: Connections<Full<Bytes>>,
    target: Uri,
    compression: OtlpCompression,
}

impl HttpTransport {
    pub(super) fn new(target: Uri, tls: ClientConfig, compression: OtlpCompression) -> Self {
        Self { connections: connections(tls, HttpVersion::One), target, compression }
    }

    pub(super) fn prepare(&self, message: Bytes) -> Bytes {
        match self.compression {
            OtlpCompression::None => message,
            OtlpCompression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 8), Compression::fast());
                // A `Vec` takes every write.
                let _ = encoder.write_all(&message);
                encoder.finish().unwrap_or_default().into()
            }
        }
    }

    pub(super) async fn send(&self, message: &Bytes, headers: &HeaderMap) -> Answer {
        let mut request = Request::new(Full::new(message.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let all = request.headers_mut();
        all.insert(USER_AGENT, AGENT);
        all.extend(headers.clone());
        all.insert(CONTENT_TYPE, PROTOBUF);
        if self.compression == OtlpCompression::Gzip {
            all.insert(CONTENT_ENCODING, GZIP);
        }
        let later = |error: &(dyn std::error::Error + 'static)| {
            let fault = Fault::new(lost(error), chain(error));
            Answer::Later { after: None, fault }
        };
        let (head, body) = match self.connections.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return later(&error),
        };
        let body = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Bytes::from_static(TOO_LONG),
            Err(error) if head.status.is_success() => return later(error.as_ref()),
            // The head says it all.
            Err(_) => Bytes::new(),
        };
        Answer::of_http(head.status, &head.headers, &body, SystemTime::now())
    }
}

/// Stands for an answer that is too long: no protobuf begins with it.
const TOO_LONG: &[u8] = &[0xff];
