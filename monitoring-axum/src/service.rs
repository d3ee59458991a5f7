//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use monitoring_core::Tenant;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::future::ResponseFuture;
use crate::layer::Settings;
use crate::measurement::Measurement;
use crate::request_body;
use crate::route::Route;
use crate::running;

/// Measures the requests that it hands to the service inside, made by [`MonitoringLayer`](crate::MonitoringLayer).
#[derive(Clone, Debug)]
pub struct MonitoringService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> MonitoringService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for MonitoringService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    RequestBody: Body + 'static,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let settings = &self.settings;
        let Some(instruments) = settings.instruments.get() else {
            return ResponseFuture::new(self.inner.call(request), None);
        };
        if running::is_measured(instruments) {
            if let Some(route) = Route::matched(request.extensions(), settings, instruments) {
                running::name_route(route);
            }
            if Tenant::current() == Tenant::NONE {
                let tenant = settings.resolve(&request, instruments);
                if tenant != Tenant::NONE {
                    // A measured request runs in a scope: only a thread that is being torn down has none.
                    let _ = Tenant::set_current(tenant);
                }
            }
            return ResponseFuture::new(self.inner.call(request), None);
        }

        let request_size = request_body::declared_length(request.body());
        let mut measurement = Some(Measurement::start(settings, instruments, request.method(), request_size));
        let (route, tenant) = Measurement::around(&mut measurement, || {
            let route = Route::matched(request.extensions(), settings, instruments)
                .unwrap_or_else(|| Route::unmatched(settings, instruments));
            (route, settings.resolve(&request, instruments))
        });
        if let Some(measurement) = &mut measurement {
            measurement.identify(route, tenant);
        }
        if request_size.is_none() {
            request_body::count(request.body_mut(), settings, route);
        }
        let inner = Measurement::around(&mut measurement, || self.inner.call(request));
        ResponseFuture::new(inner, measurement)
    }
}
