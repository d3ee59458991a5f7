//! What is recorded of a request once it has ended.

use std::time::Duration;

use monitoring_core::{RequestMethod, StatusCode as StatusLabel, Tenant};

use crate::apdex::{Apdex, ApdexLabels};
use crate::grpc::{Call, GrpcStatus, RpcLabels, RpcSystem};
use crate::labels::{
    BodyLabels, ErrorType, Outcome, RequestLabels, TenantDurationLabels, TenantRequestLabels, answered,
};
use crate::measurement::{End, Head};
use crate::record::HttpServer;
use crate::route::Route;
use crate::settings::Settings;
use crate::slow::{SlowRequest, SlowRequests};

/// A request that has ended.
pub(crate) struct Report<'a> {
    pub(crate) elapsed: Duration,
    pub(crate) method: RequestMethod,
    pub(crate) route: Route,
    pub(crate) tenant: Tenant,
    /// The length of the request's body, where it was declared and can be believed.
    pub(crate) request_size: Option<u64>,
    pub(crate) call: Option<Call>,
    pub(crate) end: End,
    /// `None` where there was no response.
    pub(crate) response: Option<&'a Head>,
}

impl Report<'_> {
    pub(crate) fn record(&self, instruments: &HttpServer, settings: &Settings) {
        let Self { elapsed, tenant, .. } = *self;
        let Route { template, group } = self.route;
        let status = self.response.map(|response| response.status);
        let exemplar = self.response.and_then(|response| response.exemplar);
        let (outcome, error_type) = self.verdict();

        instruments.duration.record_within(
            RequestLabels {
                http_request_method: answered(self.method, status),
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
        if let Some(size) = self.request_size {
            instruments.request_size.record_within(body, size, exemplar);
        }
        if let Some(response) = self.response {
            instruments.response_size.record_within(body, response.sent, exemplar);
        }
        if let Some(Call { method }) = self.call {
            let labels = RpcLabels {
                rpc_system_name: RpcSystem::Grpc,
                rpc_method: method,
                rpc_response_status_code: self.grpc_status().unwrap_or(GrpcStatus::ABSENT),
                error_type,
            };
            instruments.rpc_duration.record_within(labels, elapsed, exemplar);
        }
        if let Some(apdex) = &settings.apdex
            && let Some(threshold) = apdex.of(instruments.text(template))
            && let Some(apdex) = Apdex::of(outcome, elapsed, threshold)
        {
            instruments.tenant_apdex.add(tenant, ApdexLabels { apdex }, 1);
        }
    }

    /// Logs the request if it was slow.
    pub(crate) fn log(&self, instruments: &HttpServer, slow: &SlowRequests) {
        let route = instruments.text(self.route.template);
        if !slow.is_slow(route, self.elapsed) {
            return;
        }
        let status = self.response.map(|response| response.status);
        slow.log(&SlowRequest {
            method: answered(self.method, status).as_str(),
            route,
            status: status.map(|status| status.as_u16()),
            outcome: self.verdict().0.as_str(),
            tenant: instruments.tenants().id(self.tenant),
            duration: self.elapsed,
            time_to_head: self.response.and_then(|response| response.time),
        });
    }

    /// The status of a gRPC call, where it was told to the end.
    fn grpc_status(&self) -> Option<GrpcStatus> {
        self.response.filter(|_| self.end == End::Complete)?.grpc_status
    }

    fn verdict(&self) -> (Outcome, ErrorType) {
        match self.end {
            End::Complete => match (self.call, self.grpc_status(), self.response) {
                (Some(_), Some(status), _) => (status.outcome(), status.error_type()),
                (Some(_), None, Some(response)) if response.status.is_success() => {
                    (Outcome::ServerError, ErrorType::INCOMPLETE)
                }
                (_, _, Some(response)) => (Outcome::of(response.status), ErrorType::of(response.status)),
                (_, _, None) => (Outcome::Ok, ErrorType::NONE),
            },
            End::Cancelled => (Outcome::Cancelled, ErrorType::CANCELLED),
            End::Panicked => (Outcome::ServerError, ErrorType::PANIC),
            End::BodyFailed => (Outcome::ServerError, ErrorType::BODY),
            End::ServiceFailed => (Outcome::ServerError, ErrorType::SERVICE),
        }
    }
}
