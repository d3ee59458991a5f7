//! What is measured: the families that this crate records into.

use monitoring_core::{
    Exemplar, Histogram, InstrumentSet, Registry, RegistryError, Symbol, TenantCounter, TenantHistogram,
    TenantRegistry, UpDownCounter, catalogue,
};

use crate::labels::{ActiveLabels, BodyLabels, RequestLabels, TenantDurationLabels, TenantRequestLabels};

/// The families of the HTTP server, and the symbols that nearly every request needs.
#[derive(Debug)]
pub(crate) struct HttpServer {
    pub(crate) duration: Histogram<RequestLabels>,
    pub(crate) active: UpDownCounter<ActiveLabels>,
    pub(crate) request_size: Histogram<BodyLabels, u64>,
    pub(crate) response_size: Histogram<BodyLabels, u64>,
    pub(crate) tenant_duration: TenantHistogram<TenantDurationLabels>,
    pub(crate) tenant_requests: TenantCounter<TenantRequestLabels>,
    /// `unmatched`: the route, and the group of routes, of what matched none.
    pub(crate) unmatched: Symbol,
    /// `default`: the group of routes where the application has named none.
    pub(crate) default_group: Symbol,
    registry: Registry,
}

impl InstrumentSet for HttpServer {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            duration: registry.histogram(&catalogue::HTTP_SERVER_REQUEST_DURATION)?,
            active: registry.up_down_counter(&catalogue::HTTP_SERVER_ACTIVE_REQUESTS)?,
            request_size: registry.histogram(&catalogue::HTTP_SERVER_REQUEST_BODY_SIZE)?,
            response_size: registry.histogram(&catalogue::HTTP_SERVER_RESPONSE_BODY_SIZE)?,
            tenant_duration: registry.tenant_histogram(&catalogue::SAAS_TENANT_REQUEST_DURATION)?,
            tenant_requests: registry.tenant_counter(&catalogue::SAAS_TENANT_REQUESTS)?,
            unmatched: registry.symbol("unmatched"),
            default_group: registry.symbol("default"),
            registry: registry.clone(),
        })
    }
}

impl HttpServer {
    /// The span of the request, if it is kept.
    pub(crate) fn current_exemplar(&self) -> Option<Exemplar> {
        self.registry.current_exemplar()
    }

    /// The symbol of a text that comes from the program.
    pub(crate) fn symbol(&self, text: &str) -> Symbol {
        self.registry.symbol(text)
    }

    pub(crate) fn tenants(&self) -> &TenantRegistry {
        self.registry.tenants()
    }
}
