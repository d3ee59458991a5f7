//! The measurement of one request, from its head to the end of its response.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::Body;
use monitoring_core::{Exemplar, StatusCode as StatusLabel, Tenant, TenantContext, UpDownEntry};

use crate::labels::{
    ActiveLabels, BodyLabels, ErrorType, Outcome, RequestLabels, RequestMethod, TenantDurationLabels,
    TenantRequestLabels,
};
use crate::layer::Settings;
use crate::record::HttpServer;
use crate::route::Route;
use crate::running;

/// A request that is being measured. It is in flight until [`end`](Self::end); dropped before, it was cancelled. Kept
/// beyond its end, it still says whose work it is.
#[derive(Debug)]
pub(crate) struct Measurement {
    settings: Arc<Settings>,
    started: Instant,
    method: RequestMethod,
    route: Route,
    tenant: TenantContext,
    /// The length of the request's body where it is declared.
    request_size: Option<u64>,
    response: Option<Sending>,
    /// The span of the request: it may be over when the response is.
    exemplar: Option<Exemplar>,
    /// `None` once it is recorded.
    in_flight: Option<UpDownEntry>,
}

/// A response whose head is known.
#[derive(Debug)]
struct Sending {
    status: StatusCode,
    /// The length that it will have, where that is known: the server stops asking for more once it is reached.
    declared: Option<u64>,
    sent: u64,
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
        let method = RequestMethod::from(method);
        Self {
            settings: Arc::clone(settings),
            started: Instant::now(),
            method,
            route: Route { template: instruments.unmatched, group: instruments.unmatched },
            tenant: TenantContext::new(Tenant::current()),
            request_size,
            response: None,
            exemplar: None,
            in_flight: Some(instruments.active.enter(ActiveLabels { http_request_method: method })),
        }
    }

    /// Names the route, and the tenant if one is named.
    pub(crate) fn identify(&mut self, route: Route, tenant: Tenant) {
        self.route = route;
        if tenant != Tenant::NONE {
            self.tenant = TenantContext::new(tenant);
        }
    }

    /// Runs a part of the request's own code as its tenant's work. A panic in it is counted and passes through.
    pub(crate) fn around<T>(measurement: &mut Option<Self>, work: impl FnOnce() -> T) -> T {
        let watch = PanicWatch { measurement };
        let result = match watch.measurement {
            Some(Self { settings, route, tenant, .. }) => {
                let _running = settings.instruments.get().map(|instruments| running::enter(instruments, route));
                let _tenant = tenant.enter();
                work()
            }
            None => work(),
        };
        mem::forget(watch);
        result
    }

    /// Takes note of the response's head, which may be all there is.
    pub(crate) fn respond<B: Body>(&mut self, response: &Response<B>) {
        self.exemplar = self.settings.instruments.get().and_then(HttpServer::current_exemplar);
        let status = response.status();
        let declared = declared_length(response);
        self.response = Some(Sending { status, declared, sent: 0 });
        // Of these responses the server never reads the body, and drops it at once.
        let head_only = match self.method {
            RequestMethod::Head => true,
            RequestMethod::Connect => status.is_success(),
            _ => status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED),
        };
        if head_only || declared == Some(0) || response.body().is_end_stream() {
            self.end(End::Complete);
        }
    }

    /// Takes note of so many bytes more of the response's body, and says whether that was all of it.
    pub(crate) fn send(&mut self, bytes: usize) -> bool {
        let Some(response) = &mut self.response else { return false };
        response.sent = response.sent.saturating_add(bytes as u64);
        response.declared.is_some_and(|declared| response.sent >= declared)
    }

    /// Records the request, once: what comes after its end is no part of it.
    pub(crate) fn end(&mut self, end: End) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let Some(instruments) = self.settings.instruments.get() else { return };
        let elapsed = self.started.elapsed();
        let status = self.response.as_ref().map(|response| response.status);
        let (outcome, error_type) = match end {
            End::Complete => {
                status.map_or((Outcome::Ok, ErrorType::NONE), |status| (Outcome::of(status), ErrorType::of(status)))
            }
            End::Cancelled => (Outcome::Cancelled, ErrorType::CANCELLED),
            End::Panicked => (Outcome::ServerError, ErrorType::PANIC),
            End::BodyFailed => (Outcome::ServerError, ErrorType::BODY),
            End::ServiceFailed => (Outcome::ServerError, ErrorType::SERVICE),
        };
        let Route { template, group } = self.route;
        let tenant = self.tenant.tenant();
        let exemplar = self.exemplar;

        instruments.duration.record_within(
            RequestLabels {
                http_request_method: self.method.answered(status),
                http_route: template,
                http_response_status_code: status
                    .map_or(StatusLabel::ABSENT, |status| StatusLabel::new(status.as_u16())),
                error_type,
            },
            elapsed,
            exemplar,
        );
        instruments.tenant_duration.record_within(tenant, TenantDurationLabels { outcome }, elapsed, exemplar);
        instruments.tenant_requests.add(tenant, TenantRequestLabels { outcome, route_group: group }, 1);
        let body = BodyLabels { http_route: template };
        // Who goes away early may have declared more than was ever sent.
        if let Some(size) = self.request_size
            && end == End::Complete
        {
            instruments.request_size.record_within(body, size, exemplar);
        }
        if let Some(response) = &self.response {
            instruments.response_size.record_within(body, response.sent, exemplar);
        }
        instruments.active.leave(in_flight);
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// Counts the panic that passes through it; forgotten when there was none.
struct PanicWatch<'a> {
    measurement: &'a mut Option<Measurement>,
}

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if let Some(measurement) = self.measurement {
            measurement.end(End::Panicked);
        }
    }
}

fn declared_length<B: Body>(response: &Response<B>) -> Option<u64> {
    match response.headers().get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => response.body().size_hint().exact(),
    }
}
