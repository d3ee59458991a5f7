//! Jobs that a framework hands to a tower service.

use std::fmt;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::builder::{Job, Jobs};
use super::future::JobFuture;
use super::outcome::Attempt;
use crate::Tenant;

/// Makes each request of a tower service a run of one job, made by [`layer`](super::layer()).
///
/// `T` and `A` say how a request's tenant and attempt are read.
#[derive(Clone)]
pub struct JobLayer<T = NotRead, A = NotRead> {
    jobs: Jobs,
    name: &'static str,
    tenant: T,
    attempt: A,
}

/// A service that measures another one, made by [`JobLayer`].
#[derive(Clone)]
pub struct JobService<S, T = NotRead, A = NotRead> {
    inner: S,
    layer: JobLayer<T, A>,
}

/// Nothing is read from the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotRead;

/// The request is read by a function.
#[derive(Clone, Copy)]
pub struct ReadBy<F>(F);

/// How something is read from a request of type `Q`. Sealed: there is nothing to implement.
pub trait Read<Q, V>: sealed::Sealed {
    /// What the request says.
    fn read(&self, request: &Q) -> Option<V>;
}

impl<Q, V> Read<Q, V> for NotRead {
    fn read(&self, _request: &Q) -> Option<V> {
        None
    }
}

impl<Q, V, F: Fn(&Q) -> V> Read<Q, V> for ReadBy<F> {
    fn read(&self, request: &Q) -> Option<V> {
        Some((self.0)(request))
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::NotRead {}
    impl<F> Sealed for super::ReadBy<F> {}
}

impl Jobs {
    /// A layer that makes each request a run of the job with that name: see [`layer`](super::layer()).
    pub fn layer(&self, name: &'static str) -> JobLayer {
        JobLayer { jobs: self.clone(), name, tenant: NotRead, attempt: NotRead }
    }
}

impl<T, A> JobLayer<T, A> {
    /// Reads the tenant that a request is for. Else it is for the tenant that is current when the service is called.
    pub fn tenant<Q, F: Fn(&Q) -> Tenant>(self, tenant: F) -> JobLayer<ReadBy<F>, A> {
        let Self { jobs, name, attempt, .. } = self;
        JobLayer { jobs, name, tenant: ReadBy(tenant), attempt }
    }

    /// Reads which attempt a request is. Else each is the first, of an unknown number.
    pub fn attempt<Q, F: Fn(&Q) -> Attempt>(self, attempt: F) -> JobLayer<T, ReadBy<F>> {
        let Self { jobs, name, tenant, .. } = self;
        JobLayer { jobs, name, tenant, attempt: ReadBy(attempt) }
    }
}

impl<S, T: Clone, A: Clone> Layer<S> for JobLayer<T, A> {
    type Service = JobService<S, T, A>;

    fn layer(&self, inner: S) -> Self::Service {
        JobService { inner, layer: self.clone() }
    }
}

impl<S, Q, R, E, T, A> Service<Q> for JobService<S, T, A>
where
    S: Service<Q, Response = R, Error = E>,
    T: Read<Q, Tenant>,
    A: Read<Q, Attempt>,
{
    type Response = R;
    type Error = E;
    type Future = JobFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let JobLayer { jobs, name, tenant, attempt } = &self.layer;
        let tenant = tenant.read(&request).unwrap_or_else(Tenant::current);
        let job: Job = jobs.job(name).tenant(tenant).attempt(attempt.read(&request).unwrap_or_default());
        // What the service does before its future is polled is the job's work, too.
        let future = {
            let _entered = tenant.enter();
            self.inner.call(request)
        };
        job.run(future)
    }
}

impl<T, A> fmt::Debug for JobLayer<T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JobLayer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S, T, A> fmt::Debug for JobService<S, T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JobService").field("name", &self.layer.name).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ReadBy<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadBy").finish_non_exhaustive()
    }
}
