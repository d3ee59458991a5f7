//! The HTTP side of the collector.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tokio::net::TcpListener;

use super::{Mode, Received, State};

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let router = Router::new().fallback(receive).layer(DefaultBodyLimit::max(4 << 20)).with_state(state);
    axum::serve(listener, router).await.unwrap();
}

async fn receive(Shared(state): Shared<Arc<State>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut mode = state.mode();
    if let Mode::Refuse(tenant) = mode {
        let is_of_the_tenant = headers.get("x-scope-orgid").is_some_and(|found| found == tenant);
        mode = if is_of_the_tenant { Mode::Fail(403, None) } else { Mode::Accept };
    }
    let decoded = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip") => {
            let mut decoded = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut decoded).unwrap();
            decoded
        }
        None => body.to_vec(),
        Some(other) => panic!("{other:?} was not asked for"),
    };
    state.keep(Received {
        path: uri.path().to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect(),
        request: ExportMetricsServiceRequest::decode(&decoded[..]).unwrap(),
        was_accepted: matches!(mode, Mode::Accept | Mode::Reject(_) | Mode::Silent(_)),
    });
    match mode {
        Mode::Accept => protobuf(ExportMetricsServiceResponse::default().encode_to_vec()),
        Mode::Reject(rejected_data_points) => {
            let error_message = "too many series".to_owned();
            let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
            protobuf(ExportMetricsServiceResponse { partial_success }.encode_to_vec())
        }
        Mode::Fail(status, retry_after) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.to_string().parse().unwrap());
            }
            response
        }
        Mode::Silent(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mode::Refuse(_) => unreachable!("it was decided above"),
        Mode::Answer(bytes) => protobuf(bytes),
        Mode::Stall => std::future::pending().await,
        Mode::Drip => {
            let bytes = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0])), ()))
            });
            Response::new(Body::from_stream(bytes))
        }
        Mode::Move => Redirect::permanent("/elsewhere").into_response(),
    }
}

fn protobuf(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-protobuf")], bytes).into_response()
}
