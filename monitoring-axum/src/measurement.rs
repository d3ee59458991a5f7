//! The measurement of one request, from its head to the end of its response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body as AxumBody;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;
use monitoring_core::{EnteredTenant, Exemplar, RequestMethod, Tenant, UpDownEntry};

use crate::body::FollowedBody;
use crate::grpc::{Call, GrpcStatus};
use crate::labels::{ActiveLabels, BodyLabels};
use crate::record::HttpServer;
use crate::report::Report;
use crate::route::Route;
use crate::settings::Settings;
use crate::{running, server_timing};

/// A body in memory is not larger; sending more than that takes a while, which is worth an allocation to see.
const IN_MEMORY: u64 = 1 << 16;

/// A request that is being measured. It is in flight until [`end`](Self::end); dropped before, it was cancelled. Kept
/// beyond its end, it still says whose work it is.
#[derive(Debug)]
pub(crate) struct Measurement {
    settings: Arc<Settings>,
    started: Instant,
    method: RequestMethod,
    route: Route,
    tenant: Tenant,
    /// The length of the request's body where it is declared.
    request_size: Option<u64>,
    /// The gRPC call that the request is.
    call: Option<Call>,
    response: Option<Head>,
    /// `None` once it is recorded.
    in_flight: Option<UpDownEntry>,
}

/// A response whose head is known.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// The length that it will have, where that is known: the server stops asking for more once it is reached.
    declared: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) grpc_status: Option<GrpcStatus>,
    /// How long it took, if the body takes its own time.
    pub(crate) time: Option<Duration>,
    /// The span of the request: it may be over when the response is.
    pub(crate) exemplar: Option<Exemplar>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The response was complete: its status says the rest.
    Complete,
    /// The response was given up by the outside.
    Cancelled,
    /// The handler or the response body panicked.
    Panicked,
    /// The response body failed.
    BodyFailed,
    /// The service failed instead of responding.
    ServiceFailed,
}

impl Measurement {
    /// Begins to measure. `request_size` is the length of the request's body where it is declared.
    pub(crate) fn start(
        settings: &Arc<Settings>,
        instruments: &HttpServer,
        method: &Method,
        request_size: Option<u64>,
    ) -> Self {
        let method = RequestMethod::of(method.as_str());
        Self {
            settings: Arc::clone(settings),
            started: Instant::now(),
            method,
            route: Route { template: instruments.unmatched, group: instruments.unmatched },
            tenant: Tenant::current(),
            request_size,
            call: None,
            response: None,
            in_flight: Some(instruments.active.enter(ActiveLabels { http_request_method: method })),
        }
    }

    /// Takes note that the request is a gRPC call, if it is.
    pub(crate) fn note_call(&mut self, call: Option<Call>) {
        self.call = call;
    }

    /// Makes what follows the request's own code, and its tenant's work, until [`Entered::leave`].
    #[inline]
    pub(crate) fn enter(measurement: &mut Option<Self>) -> Option<Entered<'_>> {
        let measurement = measurement.as_mut()?;
        let outer = running::enter(measurement.settings.instruments.get()?);
        let tenant = Some(measurement.tenant.enter());
        Some(Entered { measurement, outer, tenant, has_left: false })
    }

    /// Takes note of the response's head, which may be all there is; else its body is followed to its end.
    pub(crate) fn respond(mut self, mut response: Response<AxumBody>) -> Response<AxumBody> {
        if self.settings.writes_server_timing {
            server_timing::write(response.headers_mut(), self.started.elapsed());
        }
        let in_memory = self.length_in_memory(&response);
        let is_head_only = self.is_head_only(response.status());
        let head = Head {
            status: response.status(),
            declared: in_memory.or_else(|| declared_length(&response)),
            sent: in_memory.filter(|_| !is_head_only).unwrap_or_default(),
            grpc_status: self.call.and_then(|_| GrpcStatus::of(response.headers())),
            time: None,
            exemplar: self.settings.instruments.get().and_then(HttpServer::current_exemplar),
        };
        if in_memory.is_some() {
            self.record(End::Complete, Some(&head));
            return response;
        }
        let has_ended = response.body().is_end_stream();
        if is_head_only || head.declared == Some(0) || has_ended {
            self.record(End::Complete, Some(&head));
            if has_ended {
                return response;
            }
        } else {
            self.stream(head);
        }
        response.map(|body| AxumBody::new(FollowedBody::new(body, self)))
    }

    /// Begins to follow a body.
    fn stream(&mut self, head: Head) {
        let time = self.started.elapsed();
        if let Some(instruments) = self.settings.instruments.get() {
            let labels = BodyLabels { http_route: self.route.template };
            instruments.time_to_head.record_within(labels, time, head.exemplar);
        }
        self.response = Some(Head { time: Some(time), ..head });
    }

    /// The length of a body that is in memory as a whole: the server has it together with the head. Nothing tells such a
    /// body from one that is read from elsewhere but for that: a service that passes on what it reads from elsewhere, a
    /// file or another server, has set the length as a header.
    fn length_in_memory(&self, response: &Response<AxumBody>) -> Option<u64> {
        // The end of a gRPC call is in its trailers.
        if self.settings.follows_all_bodies || self.call.is_some() {
            return None;
        }
        let length = response.body().size_hint().exact()?;
        (length <= IN_MEMORY && !response.headers().contains_key(CONTENT_LENGTH)).then_some(length)
    }

    /// Whether the server never reads the body of the response, and drops it at once.
    fn is_head_only(&self, status: StatusCode) -> bool {
        match self.method {
            RequestMethod::Head => true,
            RequestMethod::Connect => status.is_success(),
            _ => status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED),
        }
    }

    /// Takes note of so many bytes more of the response's body, and says whether that was all of it.
    pub(crate) fn send(&mut self, bytes: usize) -> bool {
        let Some(response) = &mut self.response else { return false };
        response.sent = response.sent.saturating_add(bytes as u64);
        response.declared.is_some_and(|declared| response.sent >= declared)
    }

    /// Takes note of what the trailers say about a gRPC call.
    pub(crate) fn note_trailers(&mut self, trailers: &HeaderMap) {
        if let (Some(_), Some(response)) = (self.call, &mut self.response) {
            response.grpc_status = GrpcStatus::of(trailers).or(response.grpc_status);
        }
    }

    /// Records the request, once: what comes after its end is no part of it.
    pub(crate) fn end(&mut self, end: End) {
        let response = self.response.take();
        self.record(end, response.as_ref());
    }

    fn record(&mut self, end: End, response: Option<&Head>) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let Some(instruments) = self.settings.instruments.get() else { return };
        let report = Report {
            elapsed: self.started.elapsed(),
            method: self.method,
            route: self.route,
            tenant: self.tenant,
            // Who goes away early may have declared more than was ever sent.
            request_size: self.request_size.filter(|_| end == End::Complete),
            call: self.call,
            end,
            response,
        };
        report.record(instruments, &self.settings);
        instruments.active.leave(in_flight);
        if let Some(slow) = &self.settings.slow {
            report.log(instruments, slow);
        }
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// Whose work it is, kept current by [`Measurement::enter`]. What the code names as its route and its tenant is theirs from
/// then on. Dropped without [`leave`](Self::leave), a panic has passed through: it is counted.
#[must_use = "a panic is told by that it was not left"]
pub(crate) struct Entered<'a> {
    measurement: &'a mut Measurement,
    outer: running::Outer,
    /// Taken when this is dropped.
    tenant: Option<EnteredTenant>,
    has_left: bool,
}

impl Entered<'_> {
    /// The code has ended as it should.
    #[inline]
    pub(crate) fn leave(entered: Option<Self>) {
        if let Some(mut entered) = entered {
            entered.has_left = true;
        }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        self.measurement.tenant = Tenant::current();
        self.tenant = None;
        if let Some(route) = running::leave(self.outer) {
            self.measurement.route = route;
        }
        if !self.has_left {
            self.measurement.end(End::Panicked);
        }
    }
}

fn declared_length<B: Body>(response: &Response<B>) -> Option<u64> {
    match response.headers().get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => response.body().size_hint().exact(),
    }
}
