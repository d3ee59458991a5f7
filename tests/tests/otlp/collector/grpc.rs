//! The gRPC side of the collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::KeyAndValueRef;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) use tonic::transport::{Certificate, Identity};

use super::{Mode, Received, State};

pub(super) async fn serve(listener: TcpListener, state: Arc<State>, tls: Option<ServerTlsConfig>) {
    let service = MetricsServiceServer::new(Service(state)).accept_compressed(CompressionEncoding::Gzip);
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).unwrap();
    }
    server.add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
}

struct Service(Arc<State>);

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mode = self.0.mode();
        let headers = request.metadata().iter().filter_map(|entry| match entry {
            KeyAndValueRef::Ascii(name, value) => Some((name.to_string(), value.to_str().unwrap().to_owned())),
            KeyAndValueRef::Binary(..) => None,
        });
        self.0.keep(Received {
            path: String::new(),
            headers: headers.collect(),
            request: request.get_ref().clone(),
            was_accepted: matches!(mode, Mode::Accept | Mode::Reject(_)),
        });
        match mode {
            Mode::Accept => Ok(Response::new(ExportMetricsServiceResponse::default())),
            Mode::Reject(rejected_data_points) => {
                let error_message = "too many series".to_owned();
                let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
                Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
            }
            Mode::Fail(code, retry) => {
                let code = Code::from_i32(code.into());
                let details = ErrorDetails::with_retry_info(retry.map(Duration::from_secs));
                Err(match retry {
                    Some(_) => Status::with_error_details(code, "not now", details),
                    None => Status::new(code, "not now"),
                })
            }
            Mode::Stall => std::future::pending().await,
            other => panic!("{other:?} is for HTTP"),
        }
    }
}
