//! The options of a layer, as its services and requests read them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use monitoring_core::{Instruments, Tenant};

use crate::record::HttpServer;
use crate::slow::SlowRequests;
use crate::tenant::{RequestHead, TenantResolver};
use crate::threshold::Threshold;

type RouteGroup = dyn Fn(&str) -> &'static str + Send + Sync;

/// The options of a layer, shared by all its services and requests.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) instruments: Instruments<HttpServer>,
    pub(crate) resolver: Option<Arc<dyn TenantResolver>>,
    pub(crate) route_group: Option<Arc<RouteGroup>>,
    /// Whether a body in memory is followed to its end too.
    pub(crate) follows_all_bodies: bool,
    pub(crate) writes_server_timing: bool,
    /// `package.Service/Method` of those that are named.
    pub(crate) grpc_methods: Arc<HashSet<Box<str>>>,
    pub(crate) apdex: Option<Threshold>,
    pub(crate) slow: Option<Arc<SlowRequests>>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            instruments: Instruments::global(),
            resolver: None,
            route_group: None,
            follows_all_bodies: false,
            writes_server_timing: false,
            grpc_methods: Arc::default(),
            apdex: None,
            slow: None,
        }
    }

    pub(crate) fn resolve<B>(&self, request: &http::Request<B>, instruments: &HttpServer) -> Tenant {
        match &self.resolver {
            Some(resolver) => resolver.resolve(&RequestHead::of(request), instruments.tenants()),
            None => Tenant::NONE,
        }
    }

    /// The group of a route, if the application has named the groups.
    pub(crate) fn route_group(&self, template: &str) -> Option<&'static str> {
        self.route_group.as_ref().map(|group| group(template))
    }
}

impl fmt::Debug for Settings {
    /// Leaves the resolver out: it may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("instruments", &self.instruments)
            .field("has_resolver", &self.resolver.is_some())
            .field("has_route_group", &self.route_group.is_some())
            .field("follows_all_bodies", &self.follows_all_bodies)
            .field("writes_server_timing", &self.writes_server_timing)
            .field("grpc_methods", &self.grpc_methods.len())
            .field("apdex", &self.apdex)
            .field("slow", &self.slow)
            .finish()
    }
}
