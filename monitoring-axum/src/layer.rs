//! The layer, and its options.

use std::sync::Arc;
use std::time::Duration;

use monitoring_core::{Instruments, Monitoring, RegistryError};
use tower_layer::Layer;

use crate::service::MonitoringService;
use crate::settings::Settings;
use crate::slow::SlowRequests;
use crate::tenant::TenantResolver;
use crate::threshold::Threshold;

/// Measures every request that passes through, made by [`layer`](crate::layer()).
///
/// See the [crate's front page](crate) for what is recorded and what it costs.
#[derive(Clone, Debug)]
pub struct MonitoringLayer {
    settings: Arc<Settings>,
}

impl MonitoringLayer {
    pub(crate) fn new() -> Self {
        Self { settings: Arc::new(Settings::new()) }
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
    ///
    /// [`Tenant::UNKNOWN`]: monitoring_core::Tenant::UNKNOWN
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

    /// Counts how content the waiting are, as `saas_tenant_apdex_requests_total`, with the same threshold T for every
    /// route. Off by default, and then it costs nothing.
    ///
    /// A request that took T at most is `satisfied`, one that took four times T at most `tolerating`, every other one
    /// `frustrated`. What failed by the server's fault is frustrated however quick it was. What was cancelled is
    /// frustrated if that was after T, and else not counted: nobody was kept waiting. A client's error counts by its
    /// time, as a success does.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let layer = monitoring_axum::layer().apdex(Duration::from_millis(300));
    /// # let _ = layer;
    /// ```
    pub fn apdex(self, threshold: Duration) -> Self {
        self.with(|settings| settings.apdex = Some(Threshold::Everywhere(threshold)))
    }

    /// The same with a threshold for each route: the function is given the route's template, or `unmatched`. `None` leaves
    /// the route out, as it should be for one that streams for as long as the client listens. So does a panic of it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let layer = monitoring_axum::layer().apdex_for(|template| match template {
    ///     "/events" => None,
    ///     "/reports/{id}" => Some(Duration::from_secs(2)),
    ///     _ => Some(Duration::from_millis(300)),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn apdex_for(self, threshold: impl Fn(&str) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.apdex = Some(Threshold::ByRoute(Arc::new(threshold))))
    }

    /// Logs each request that took that long: a `tracing` event of level `WARN` and target `monitoring::slow_request`
    /// with `method`, `route` (the template), `status`, `outcome`, `tenant`, `duration_seconds` and, if the body was
    /// followed, `time_to_head_seconds`. Never with a path, a query or a header. Off by default.
    ///
    /// At most ten lines a second; the next one says in `suppressed` how many were left out.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let layer = monitoring_axum::layer().slow_requests(Duration::from_secs(1));
    /// # let _ = layer;
    /// ```
    pub fn slow_requests(self, threshold: Duration) -> Self {
        self.slow(Threshold::Everywhere(threshold))
    }

    /// The same with a threshold for each route: the function is given the route's template, or `unmatched`; of a route
    /// with `None` nothing is logged.
    pub fn slow_requests_for(self, threshold: impl Fn(&str) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.slow(Threshold::ByRoute(Arc::new(threshold)))
    }

    fn slow(self, threshold: Threshold) -> Self {
        self.with(|settings| settings.slow = Some(Arc::new(SlowRequests::new(threshold))))
    }

    /// Adds the header `server-timing: total;dur=12.3` to every response: the milliseconds to its head, which browsers
    /// show beside their own times. With the feature `propagation`, and where the layer runs in a trace
    /// (`monitoring_core::propagation`), `traceparent;desc="00-…"` follows, by which a script finds the server's part of
    /// what it measures. Off by default: it tells anyone how long the server works. Browsers hand it to scripts of another
    /// origin only with `Timing-Allow-Origin`.
    pub fn server_timing(self) -> Self {
        self.with(|settings| settings.writes_server_timing = true)
    }

    /// Names gRPC methods in the label `rpc_method`, as `package.Service/Method`; every other one is `_OTHER`, because
    /// clients write the path. A method that is a route of its own, without parameters, needs no naming.
    ///
    /// ```
    /// let layer = monitoring_axum::layer().grpc_methods(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]);
    /// # let _ = layer;
    /// ```
    pub fn grpc_methods<M: Into<Box<str>>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        let methods = Arc::new(methods.into_iter().map(Into::into).collect());
        self.with(|settings| settings.grpc_methods = methods)
    }

    /// Follows every response body to its end, at the cost of an allocation each.
    ///
    /// By default a body that is in memory as a whole is taken as sent when its head is ready. It is taken for that if it
    /// knows its exact length, of 64 KiB at most, and the service has set no `Content-Length`. A body that is read from
    /// elsewhere, knows its length and leaves the header to the server looks the same: if the application has such
    /// ones, this keeps them from being counted as complete when they fail midway.
    pub fn follow_all_bodies(self) -> Self {
        self.with(|settings| settings.follows_all_bodies = true)
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
