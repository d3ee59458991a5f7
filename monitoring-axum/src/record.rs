//! What is measured: the families that this crate records into.

use monitoring_core::{
    Exemplar, Histogram, InstrumentSet, Registry, RegistryError, Symbol, TenantCounter, TenantHistogram,
    TenantRegistry, UpDownCounter, catalogue,
};

use crate::apdex::ApdexLabels;
use crate::grpc::RpcLabels;
use crate::labels::{ActiveLabels, BodyLabels, RequestLabels, TenantDurationLabels, TenantRequestLabels};
use crate::upgrade::UpgradeLabels;

/// The families of the HTTP server, and the symbols that nearly every request needs.
#[derive(Debug)]
pub(crate) struct HttpServer {
    pub(crate) duration: Histogram<RequestLabels>,
    pub(crate) active: UpDownCounter<ActiveLabels>,
    pub(crate) request_size: Histogram<BodyLabels, u64>,
    pub(crate) response_size: Histogram<BodyLabels, u64>,
    pub(crate) time_to_head: Histogram<BodyLabels>,
    pub(crate) tenant_duration: TenantHistogram<TenantDurationLabels>,
    pub(crate) tenant_requests: TenantCounter<TenantRequestLabels>,
    pub(crate) tenant_apdex: TenantCounter<ApdexLabels>,
    pub(crate) rpc_duration: Histogram<RpcLabels>,
    pub(crate) upgraded: UpDownCounter<UpgradeLabels>,
    pub(crate) upgraded_duration: Histogram<UpgradeLabels>,
    /// `unmatched`: the route, and the group of routes, of what matched none.
    pub(crate) unmatched: Symbol,
    /// `default`: the group of routes where the application has named none.
    pub(crate) default_group: Symbol,
    /// `_OTHER`: the gRPC method that is not on the list.
    pub(crate) other_method: Symbol,
    registry: Registry,
}

impl InstrumentSet for HttpServer {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            duration: registry.histogram(&catalogue::HTTP_SERVER_REQUEST_DURATION)?,
            active: registry.up_down_counter(&catalogue::HTTP_SERVER_ACTIVE_REQUESTS)?,
            request_size: registry.histogram(&catalogue::HTTP_SERVER_REQUEST_BODY_SIZE)?,
            response_size: registry.histogram(&catalogue::HTTP_SERVER_RESPONSE_BODY_SIZE)?,
            time_to_head: registry.histogram(&catalogue::SAAS_HTTP_SERVER_TIME_TO_HEAD)?,
            tenant_duration: registry.tenant_histogram(&catalogue::SAAS_TENANT_REQUEST_DURATION)?,
            tenant_requests: registry.tenant_counter(&catalogue::SAAS_TENANT_REQUESTS)?,
            tenant_apdex: registry.tenant_counter(&catalogue::SAAS_TENANT_APDEX_REQUESTS)?,
            rpc_duration: registry.histogram(&catalogue::RPC_SERVER_CALL_DURATION)?,
            upgraded: registry.up_down_counter(&catalogue::SAAS_HTTP_UPGRADED_CONNECTIONS)?,
            upgraded_duration: registry.histogram(&catalogue::SAAS_HTTP_UPGRADED_CONNECTION_DURATION)?,
            unmatched: registry.symbol("unmatched"),
            default_group: registry.symbol("default"),
            other_method: registry.symbol("_OTHER"),
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

    /// The text of a symbol.
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        self.registry.symbol_text(symbol)
    }

    pub(crate) fn tenants(&self) -> &TenantRegistry {
        self.registry.tenants()
    }
}
