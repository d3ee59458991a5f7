//! A call that is under way.

use std::sync::Arc;
use std::time::Instant;

use super::dependency::find;
use super::labels::{ActiveLabels, CallLabels, DependencyLabels, End};
use super::layer::Settings;
use super::message::ClientRequest;
use crate::propagation::{TRACEPARENT, TraceContext};
use crate::{Exemplar, RequestMethod, Symbol, Tenant, UpDownEntry};

/// What all hosts are that are of no dependency.
const OTHER: &str = "_OTHER";

/// Recorded when it [ends](Self::end); dropped before that, as `cancelled`.
#[derive(Debug)]
pub(super) struct Call {
    /// `None` where nothing is measured, and once it is recorded.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    settings: Arc<Settings>,
    start: Instant,
    tenant: Tenant,
    method: RequestMethod,
    server_address: Symbol,
    dependency: Symbol,
    exemplar: Option<Exemplar>,
    entry: UpDownEntry,
}

impl Call {
    /// A call that starts now, for the current tenant. If its host is trusted, the request takes the trace along.
    pub(super) fn start(settings: &Arc<Settings>, request: &mut impl ClientRequest) -> Self {
        let found = find(&settings.dependencies, request.host(), request.port());
        let is_trusted = found.is_some_and(|(dependency, _)| dependency.is_trusted());
        let running = settings.instruments.get().map(|instruments| {
            let symbol = |text| instruments.registry.symbol(text);
            let (name, address) = found.map_or((OTHER, OTHER), |(dependency, pattern)| (dependency.name(), pattern));
            let labels = ActiveLabels { server_address: symbol(address), dependency: symbol(name) };
            Running {
                settings: Arc::clone(settings),
                start: Instant::now(),
                tenant: Tenant::current(),
                method: RequestMethod::of(request.method().as_str()),
                server_address: labels.server_address,
                dependency: labels.dependency,
                exemplar: instruments.registry.current_exemplar(),
                entry: instruments.active.enter(labels),
            }
        });
        if is_trusted {
            carry_trace(request);
        }
        Self { running }
    }

    pub(super) fn end(&mut self, end: End) {
        let Some(running) = self.running.take() else { return };
        let Running { settings, start, tenant, method, server_address, dependency, exemplar, entry } = running;
        let Some(instruments) = settings.instruments.get() else { return };
        let took = start.elapsed();
        let labels = CallLabels {
            server_address,
            http_request_method: method,
            http_response_status_code: end.status(),
            error_type: end.into(),
            dependency,
        };
        instruments.active.leave(entry);
        instruments.duration.record_within(labels, took, exemplar);
        instruments.tenant_time.add(tenant, DependencyLabels { dependency }, took);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// The current trace, unless the application has set one for this request.
fn carry_trace(request: &mut impl ClientRequest) {
    let headers = request.headers_mut();
    if !headers.contains_key(TRACEPARENT)
        && let Some(trace) = TraceContext::current()
    {
        trace.child().to_headers(headers);
    }
}
