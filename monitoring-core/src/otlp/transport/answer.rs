//! What an answer means, by the OTLP specification.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use crate::dropped::DropReason;

/// What became of one request.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::otlp) enum Answer {
    /// The collector has the points, all but the `rejected` ones, and says why those.
    Accepted { rejected: u64, message: String },
    /// Another try may succeed, but not before `after`.
    Later { after: Option<Duration>, fault: Fault },
    /// No other try will succeed.
    Never(Fault),
    /// Nor will any other request: the collector does not take the credentials, or is not at that address.
    Closed(Fault),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::otlp) struct Fault {
    pub(in crate::otlp) reason: DropReason,
    /// For the log.
    pub(in crate::otlp) text: String,
}

impl Fault {
    pub(in crate::otlp) fn new(reason: DropReason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// Tells what an earlier try of the same request has left open.
    pub(in crate::otlp) fn note(&mut self, may_have_arrived: bool) {
        if may_have_arrived {
            self.reason = DropReason::Unanswered;
        }
    }
}

/// The most letters of a collector's message that are logged.
const MAX_MESSAGE: usize = 256;

/// What an error answer by HTTP says, from `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct ErrorMessage {
    #[prost(string, tag = "2")]
    message: String,
}

impl Answer {
    /// What an answer by HTTP means.
    pub(super) fn of_http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Self {
        if status.is_success() {
            // Many a backend and gateway says no more than that.
            if body.is_empty() || !headers.get(CONTENT_TYPE).is_some_and(is_protobuf) {
                return Self::of_response(ExportMetricsServiceResponse::default());
            }
            return match ExportMetricsServiceResponse::decode(body) {
                Ok(response) => Self::of_response(response),
                Err(error) => Self::Never(Fault::new(DropReason::Unanswered, format!("no answer of OTLP: {error}"))),
            };
        }
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let message = ErrorMessage::decode(body).map(|error| error.message).unwrap_or_default();
        let fault = |reason| Fault::new(reason, described(&format!("HTTP status {status}"), &message));
        let later = |reason| Self::Later { after: retry_after.and_then(|text| delay(text, now)), fault: fault(reason) };
        match status {
            StatusCode::TOO_MANY_REQUESTS => later(DropReason::CollectorThrottled),
            StatusCode::SERVICE_UNAVAILABLE => later(DropReason::CollectorUnavailable),
            // A gateway does not know what became of what it has handed on.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => later(DropReason::Unanswered),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Self::Closed(fault(DropReason::CollectorRefused))
            }
            _ => Self::Never(fault(DropReason::CollectorRefused)),
        }
    }

    /// What an accepting answer says of single points.
    pub(super) fn of_response(response: ExportMetricsServiceResponse) -> Self {
        let partial = response.partial_success.unwrap_or_default();
        let rejected = u64::try_from(partial.rejected_data_points).unwrap_or_default();
        Self::Accepted { rejected, message: shortened(&partial.error_message) }
    }
}

/// Whether a `Content-Type` says that the body is what OTLP answers with.
fn is_protobuf(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-protobuf")
}

/// `Retry-After`: seconds, or a date.
fn delay(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text.trim()).ok().map(|date| date.duration_since(now).unwrap_or_default()),
    }
}

pub(super) fn described(what: &str, message: &str) -> String {
    if message.is_empty() { what.to_owned() } else { format!("{what}: {}", shortened(message)) }
}

fn shortened(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

#[cfg(feature = "otlp-grpc")]
mod of_grpc {
    use std::error::Error;

    use prost::DecodeError;
    use tonic::{Code, Status};
    use tonic_types::StatusExt;

    use super::super::chain;
    use super::{Answer, DropReason, Fault, described};

    impl Answer {
        /// What an error answer by gRPC means.
        pub(in super::super) fn of_status(status: &Status) -> Self {
            if let Some(source) = status.source() {
                // The connection failed, not the collector; or what it has sent is no answer.
                let fault = Fault::new(super::super::lost(source), chain(source));
                return match source.is::<DecodeError>() {
                    true => Self::Never(fault),
                    false => Self::Later { after: None, fault },
                };
            }
            let fault = |reason| {
                let what = format!("gRPC status {:?}", status.code());
                Fault::new(reason, described(&what, status.message()))
            };
            let retry = status.get_details_retry_info();
            let after = retry.as_ref().and_then(|info| info.retry_delay);
            match status.code() {
                Code::ResourceExhausted if retry.is_some() => {
                    Self::Later { after, fault: fault(DropReason::CollectorThrottled) }
                }
                Code::Unavailable => Self::Later { after, fault: fault(DropReason::CollectorUnavailable) },
                // It, or who handed the request on, has given up on what it had begun.
                Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::DataLoss => {
                    Self::Later { after, fault: fault(DropReason::Unanswered) }
                }
                // What is no gRPC has these codes too.
                Code::Internal | Code::Unknown => Self::Never(fault(DropReason::Unanswered)),
                Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
                    Self::Closed(fault(DropReason::CollectorRefused))
                }
                _ => Self::Never(fault(DropReason::CollectorRefused)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Noon of the first day of 2026.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_268_800)
    }

    fn of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]);
        headers.extend(retry_after.map(|text| (RETRY_AFTER, text.parse().unwrap())));
        Answer::of_http(StatusCode::from_u16(status).unwrap(), &headers, body, now())
    }

    #[test]
    fn by_http_four_codes_are_worth_another_try() {
        for status in 100..600 {
            let answer = of(status, Some("7"), &[]);
            match (status, &answer) {
                (200..=299, Answer::Accepted { rejected: 0, .. }) => {}
                (429, Answer::Later { after, fault }) => {
                    assert_eq!((*after, fault.reason), (Some(Duration::from_secs(7)), DropReason::CollectorThrottled));
                }
                (502..=504, Answer::Later { after, fault }) => {
                    let reason = if status == 503 { DropReason::CollectorUnavailable } else { DropReason::Unanswered };
                    assert_eq!((*after, fault.reason), (Some(Duration::from_secs(7)), reason));
                }
                (401 | 403 | 404, Answer::Closed(fault)) => assert_eq!(fault.reason, DropReason::CollectorRefused),
                (_, Answer::Never(fault)) if !matches!(status, 200..=299 | 401 | 403 | 404 | 429 | 502..=504) => {
                    assert_eq!(fault.reason, DropReason::CollectorRefused);
                    assert!(fault.text.contains(&status.to_string()));
                }
                _ => panic!("{status}: {answer:?}"),
            }
        }
    }

    #[test]
    fn whatever_a_success_says_it_is_one_unless_it_is_broken_protobuf() {
        let accepted = Answer::Accepted { rejected: 0, message: String::new() };
        for (content_type, body) in [
            (None, &b""[..]),
            (None, b"\xff"),
            (Some("text/plain"), b"ok"),
            (Some("application/json"), b"{}"),
            (Some("application/x-protobuf"), b""),
        ] {
            let headers = HeaderMap::from_iter(content_type.map(|text| (CONTENT_TYPE, text.parse().unwrap())));
            for status in [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT] {
                assert_eq!(Answer::of_http(status, &headers, body, now()), accepted, "{status} {content_type:?}");
            }
        }
        for content_type in ["Application/X-Protobuf", "application/x-protobuf; charset=utf-8"] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            let answer = Answer::of_http(StatusCode::ACCEPTED, &headers, b"\xff", now());
            assert!(matches!(answer, Answer::Never(fault) if fault.reason == DropReason::Unanswered));
        }
    }

    #[test]
    fn the_wish_to_wait_is_seconds_or_a_date() {
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("18446744073709551615", Some(u64::MAX)),
            ("Thu, 01 Jan 2026 12:00:30 GMT", Some(30)),
            ("Thu, 01 Jan 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(delay(text, now()), expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn what_the_collector_says_is_kept_within_bounds() {
        let message = "é".repeat(1_000);
        let body = ErrorMessage { message: message.clone() }.encode_to_vec();
        let Answer::Never(fault) = of(400, None, &body) else { panic!("400 is final") };
        assert_eq!(fault.text, format!("HTTP status 400 Bad Request: {}", &message[..512]));
        // What is no protobuf is not shown.
        let Answer::Never(fault) = of(400, None, b"<html>") else { panic!("400 is final") };
        assert_eq!(fault.text, "HTTP status 400 Bad Request");
    }

    #[test]
    fn points_that_were_rejected_are_told_and_nonsense_is_no_acceptance() {
        use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

        let partial = |rejected_data_points| {
            let error_message = "why".to_owned();
            let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        };
        assert_eq!(of(200, None, &partial(3)), Answer::Accepted { rejected: 3, message: "why".to_owned() });
        assert_eq!(of(200, None, &partial(-3)), Answer::Accepted { rejected: 0, message: "why".to_owned() });
        let Answer::Never(fault) = of(200, None, b"<html>") else { panic!("it is no answer") };
        assert_eq!(fault.reason, DropReason::Unanswered);
    }

    #[cfg(feature = "otlp-grpc")]
    #[test]
    fn by_grpc_the_codes_of_the_specification_are_worth_another_try() {
        use tonic::{Code, Status};
        use tonic_types::{ErrorDetails, StatusExt};

        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        let retryable = [1, 4, 10, 11, 14, 15];
        for code in 1..=16 {
            let answer = Answer::of_status(&Status::new(Code::from_i32(code), "why"));
            assert_eq!(matches!(answer, Answer::Later { after: None, .. }), retryable.contains(&code), "{answer:?}");
            let wish = Duration::from_secs(7);
            let details = ErrorDetails::with_retry_info(Some(wish));
            let answer = Answer::of_status(&Status::with_error_details(Code::from_i32(code), "why", details));
            let is_later = matches!(answer, Answer::Later { after, .. } if after == Some(wish));
            assert_eq!(is_later, retryable.contains(&code) || code == 8, "{answer:?}");
            let closed = [Code::NotFound, Code::PermissionDenied, Code::Unimplemented, Code::Unauthenticated];
            assert_eq!(matches!(answer, Answer::Closed(_)), closed.contains(&Code::from_i32(code)), "{answer:?}");
        }
    }

    #[cfg(feature = "otlp-grpc")]
    #[test]
    fn by_grpc_garbage_is_no_acceptance_and_not_tried_again() {
        use tonic::Status;

        let error = ExportMetricsServiceResponse::decode(&b"\xff"[..]).unwrap_err();
        let mut broken = Status::internal("no answer of OTLP");
        broken.set_source(std::sync::Arc::new(error));
        for status in [broken, Status::internal("invalid compression flag"), Status::unknown("?")] {
            let Answer::Never(fault) = Answer::of_status(&status) else { panic!("{status:?}") };
            assert_eq!(fault.reason, DropReason::Unanswered);
        }
    }
}
