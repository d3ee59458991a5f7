//! The layer, and its options.

use std::fmt;
use std::sync::Arc;

use monitoring_core::{Instruments, Monitoring, RegistryError, Tenant};
use tower_layer::Layer;

use crate::record::HttpServer;
use crate::service::MonitoringService;
use crate::tenant::{RequestHead, TenantResolver};

/// Measures every request that passes through, made by [`layer`](crate::layer()).
///
/// See the [crate's front page](crate) for what is recorded and what it costs.
#[derive(Clone, Debug)]
pub struct MonitoringLayer {
    settings: Arc<Settings>,
}

impl MonitoringLayer {
    pub(crate) fn new() -> Self {
        Self { settings: Arc::new(Settings { instruments: Instruments::global(), resolver: None, route_group: None }) }
    }

    /// Says how a request's tenant is found. By default it is not: all is counted for `tenant="__none__"`, unless
    /// authentication inside the layer names the tenant with a [`TenantSlot`](crate::TenantSlot).
    ///
    /// Where one layer is inside another, the outer one's answer wins, [`Tenant::UNKNOWN`] included: the inner one's
    /// resolver is asked only while no tenant is named. So a resolver that needs the matched route
    /// ([`PathParameter`](crate::PathParameter)) can be given to a layer on the router, inside one around the whole
    /// application.
    ///
    /// A panic of the resolver is one of the request: it is counted, and passes through.
    pub fn tenant(self, resolver: impl TenantResolver) -> Self {
        self.with(|settings| settings.resolver = Some(Arc::new(resolver)))
    }

    /// Puts routes into groups, the label `route_group` of `saas.tenant.requests`: few of them, because each is a series
    /// for each tenant. The function is given the route's template, or `unmatched`. By default the groups are `default`
    /// and `unmatched`.
    ///
    /// ```
    /// let layer = monitoring_axum::layer().route_group(|template| match template {
    ///     "unmatched" => "unmatched",
    ///     template if template.starts_with("/reports") => "reports",
    ///     _ => "default",
    /// });
    /// # let _ = layer;
    /// ```
    pub fn route_group(self, group: impl Fn(&str) -> &'static str + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.route_group = Some(Arc::new(group)))
    }

    /// Records into `monitoring` and not into the one that was installed globally: for tests, and for several in one
    /// process.
    ///
    /// # Errors
    /// When a metric's name is taken by a different metric of the application.
    pub fn monitoring(self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        let instruments = Instruments::of(monitoring)?;
        Ok(self.with(|settings| settings.instruments = instruments))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for MonitoringLayer {
    type Service = MonitoringService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MonitoringService::new(inner, Arc::clone(&self.settings))
    }
}

type RouteGroup = dyn Fn(&str) -> &'static str + Send + Sync;

/// The options of a layer, shared by all its services and requests.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) instruments: Instruments<HttpServer>,
    resolver: Option<Arc<dyn TenantResolver>>,
    route_group: Option<Arc<RouteGroup>>,
}

impl Settings {
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
            .finish()
    }
}
