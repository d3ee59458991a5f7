//! What a job takes along through a queue.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::builder::{Job, Jobs};
use super::outcome::JobResult;
use super::trace::{current_trace, in_trace};
use crate::Tenant;

/// A job on its way through a queue: what is to be done, for whom, in which trace, and since when it waits.
///
/// Where the job is put into the queue, [`new`](Self::new) takes the current tenant and trace. Where it is taken out,
/// [`run`](Self::run) makes both current again, and records how long it waited.
///
/// With the feature `job-serde` it can be written as JSON or in any other format; what a reader does not know it skips:
///
/// ```
/// # #[cfg(feature = "job-serde")] {
/// use monitoring_core::job::JobEnvelope;
///
/// let envelope: JobEnvelope<u32> = serde_json::from_str(
///     r#"{"tenant":"acme","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","enqueued_at_ms":1700000000000,"payload":7}"#,
/// ).unwrap();
/// assert_eq!(envelope.tenant_id(), Some("acme"));
/// assert_eq!(envelope.payload(), &7);
/// # }
/// ```
///
/// # Who is believed
/// A queue that others can write to can name any tenant. So a tenant is only ever looked up: an id that is not registered
/// in this process, or none at all, is `__unknown__`, and never a new series. Still, who can write to the queue can have
/// work counted for a tenant that is registered, and if the job's code takes its tenant from [`Tenant::current`], can have
/// it done with that tenant's data: check it against the payload where that matters. If only your own services can write
/// to the queue, [`Job::trusting_queue`] registers a tenant when it is first seen, as a verified one.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "job-serde", derive(serde::Serialize, serde::Deserialize))]
pub struct JobEnvelope<T> {
    #[cfg_attr(feature = "job-serde", serde(default, skip_serializing_if = "Option::is_none"))]
    tenant: Option<Box<str>>,
    #[cfg_attr(feature = "job-serde", serde(default, skip_serializing_if = "Option::is_none"))]
    traceparent: Option<Box<str>>,
    #[cfg_attr(feature = "job-serde", serde(default, skip_serializing_if = "Option::is_none"))]
    tracestate: Option<Box<str>>,
    /// Milliseconds since 1970.
    enqueued_at_ms: u64,
    payload: T,
}

impl<T> JobEnvelope<T> {
    /// Puts `payload` into an envelope, as work of the current tenant and, with the feature `propagation`, of the current
    /// trace, that waits from now on.
    pub fn new(payload: T) -> Self {
        Jobs::global().envelope(payload)
    }

    /// The job waits since `time`: for one that is put off on purpose, when it is due.
    #[must_use]
    pub fn enqueued_at(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.enqueued_at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// The id of the tenant that the work is for, as the envelope has it; `None` for work that is for nobody. Nobody has
    /// checked it.
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The W3C `traceparent` of the span that put the job into the queue, as the envelope has it. Nobody has checked it.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Its `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// What is to be done.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// What is to be done, out of the envelope.
    pub fn into_payload(self) -> T {
        self.payload
    }

    /// Does it: as [`Job::run_envelope`] of a [`job`](super::job()) with that name, of which this is the only attempt.
    pub fn run<F>(self, name: &'static str, work: impl FnOnce(T) -> F) -> impl Future<Output = F::Output>
    where
        F: Future,
        F::Output: JobResult,
    {
        super::job(name).run_envelope(self, work)
    }
}

impl Jobs {
    /// Puts `payload` into an envelope: see [`JobEnvelope::new`].
    pub fn envelope<T>(&self, payload: T) -> JobEnvelope<T> {
        let tenant = Tenant::current();
        // Without a monitoring there is no tenant that could be named.
        let families = self.instruments.get().filter(|_families| tenant != Tenant::NONE);
        let tenant = families.map(|families| families.registry.tenants().id(tenant).into());
        let (traceparent, tracestate) = current_trace();
        JobEnvelope { tenant, traceparent, tracestate, enqueued_at_ms: 0, payload }.enqueued_at(SystemTime::now())
    }

    fn tenant_of<T>(&self, envelope: &JobEnvelope<T>, is_trusted: bool) -> Tenant {
        let Some(id) = envelope.tenant_id() else { return Tenant::NONE };
        let Some(families) = self.instruments.get() else { return Tenant::UNKNOWN };
        let tenants = families.registry.tenants();
        if is_trusted { tenants.admit(id) } else { tenants.lookup(id) }
    }
}

impl Job {
    /// Only this application's own services can write to the queue: a tenant that an envelope names is registered when it
    /// is first seen, if [`admit_verified`](crate::MonitoringBuilder::admit_verified) is on.
    pub fn trusting_queue(mut self) -> Self {
        self.trusts_queue = true;
        self
    }

    /// Runs the job that is in `envelope`: its tenant is current in `work`, and with the feature `propagation` its trace;
    /// its wait is recorded. A tenant that was set with [`tenant`](Self::tenant) is not used.
    pub fn run_envelope<T, F>(
        self,
        envelope: JobEnvelope<T>,
        work: impl FnOnce(T) -> F,
    ) -> impl Future<Output = F::Output>
    where
        F: Future,
        F::Output: JobResult,
    {
        let tenant = self.jobs.tenant_of(&envelope, self.trusts_queue);
        let enqueued = UNIX_EPOCH.checked_add(Duration::from_millis(envelope.enqueued_at_ms));
        let job = self.tenant(tenant).enqueued_at(enqueued.unwrap_or(UNIX_EPOCH));
        let JobEnvelope { traceparent, tracestate, payload, .. } = envelope;
        // What `work` does before its first `.await` belongs to the job, too.
        let run = job.run(async move { work(payload).await });
        in_trace(traceparent, tracestate, run)
    }
}

impl<T> fmt::Debug for JobEnvelope<T> {
    /// Leaves the payload out, and what comes from who wrote to the queue.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JobEnvelope")
            .field("has_tenant", &self.tenant.is_some())
            .field("has_trace", &self.traceparent.is_some())
            .field("enqueued_at_ms", &self.enqueued_at_ms)
            .finish_non_exhaustive()
    }
}
