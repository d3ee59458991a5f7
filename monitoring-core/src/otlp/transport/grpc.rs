//! Requests by gRPC.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use http::header::USER_AGENT;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use rustls::ClientConfig;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::answer::{Answer, Fault};
use super::{AGENT, Connections, HttpVersion, MAX_ANSWER, chain, connections, lost};
use crate::otlp::config::OtlpCompression;

const EXPORT: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");

pub(in crate::otlp) struct GrpcTransport {
    client: Grpc<Connections<tonic::body::Body>>,
}

impl GrpcTransport {
    pub(super) fn new(target: Uri, tls: ClientConfig, compression: OtlpCompression) -> Self {
        let client =
            Grpc::with_origin(connections(tls, HttpVersion::Two), target).max_decoding_message_size(MAX_ANSWER);
        let client = match compression {
            OtlpCompression::None => client,
            OtlpCompression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
        };
        Self { client }
    }

    pub(super) async fn send(&mut self, message: &Bytes, headers: &HeaderMap) -> Answer {
        if let Err(error) = self.client.ready().await {
            let fault = Fault::new(lost(&error), chain(&error));
            return Answer::Later { after: None, fault };
        }
        let mut request = Request::new(message.clone());
        let mut all = HeaderMap::from_iter([(USER_AGENT, AGENT)]);
        all.extend(headers.clone());
        *request.metadata_mut() = MetadataMap::from_headers(all);
        match self.client.unary(request, EXPORT, EncodedOnce).await {
            Ok(response) => Answer::of_response(response.into_inner()),
            Err(status) => Answer::of_status(&status),
        }
    }
}

/// Sends requests that are encoded already, so that another try costs no copy.
struct EncodedOnce;

impl Codec for EncodedOnce {
    type Encode = Bytes;
    type Decode = ExportMetricsServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedOnce {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.len());
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for EncodedOnce {
    type Item = ExportMetricsServiceResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        ExportMetricsServiceResponse::decode(message).map(Some).map_err(|error| {
            let mut status = Status::internal("no answer of OTLP");
            status.set_source(Arc::new(error));
            status
        })
    }
}
