//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use monitoring_core::Tenant;
use tower_service::Service;

use crate::future::ResponseFuture;
use crate::grpc::Call;
use crate::measurement::{Entered, Measurement};
use crate::route::Route;
use crate::settings::Settings;
use crate::{request_body, running, upgrade};

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
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<AxumBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let settings = &self.settings;
        let Some(instruments) = settings.instruments.get() else {
            return ResponseFuture::new(Some(self.inner.call(request)), None);
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
            return ResponseFuture::new(Some(self.inner.call(request)), None);
        }

        let request_size = request_body::declared_length(request.body());
        let measurement = Measurement::start(settings, instruments, request.method(), request_size);
        let mut future = ResponseFuture::new(None, Some(measurement));
        let entered = Measurement::enter(future.measurement());
        let route = Route::matched(request.extensions(), settings, instruments)
            .unwrap_or_else(|| Route::unmatched(settings, instruments));
        running::name_route(route);
        let tenant = settings.resolve(&request, instruments);
        if tenant != Tenant::NONE {
            // The scope is that of the measurement.
            let _ = Tenant::set_current(tenant);
        }
        if request_size.is_none() {
            request_body::count(request.body_mut(), settings, route);
        }
        upgrade::prepare(request.extensions_mut(), settings);
        let call = Call::of(&request, settings, instruments);
        let inner = self.inner.call(request);
        Entered::leave(entered);
        future.start(inner, call);
        future
    }
}
