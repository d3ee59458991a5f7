//! How a run of a job is described before it starts.

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use super::future::JobFuture;
use super::name::Name;
use super::outcome::{Attempt, JobResult, Verdict};
use super::record::{JobFamilies, now};
use super::run::Run;
use crate::{Instruments, Monitoring, RegistryError, Tenant};

/// Where jobs are recorded: the global monitoring, or one of its own. A clone records into the same.
///
/// The functions of [this module](super) are those of [`Jobs::global`].
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(super) instruments: Instruments<JobFamilies>,
}

impl Jobs {
    /// Records into the global monitoring from its installation on, and nothing before.
    pub fn global() -> Self {
        static GLOBAL: LazyLock<Jobs> = LazyLock::new(|| Jobs { instruments: Instruments::global() });
        GLOBAL.clone()
    }

    /// Records into that monitoring.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn of(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        Ok(Self { instruments: Instruments::of(monitoring)? })
    }

    /// A run of the job with that name: see [`job`](super::job()).
    pub fn job(&self, name: &'static str) -> Job {
        self.named(Name::Own(name))
    }

    pub(super) fn named(&self, name: Name) -> Job {
        Job { jobs: self.clone(), name, tenant: None, attempt: Attempt::default(), enqueued: None, trusts_queue: false }
    }

    /// Expects that a job succeeds at least every `interval`: see [`expect_every`](super::expect_every()).
    pub fn expect_every(&self, name: &'static str, interval: Duration) {
        self.expect(Name::Own(name), interval);
    }

    pub(super) fn expect(&self, name: Name, interval: Duration) {
        let Some(families) = self.instruments.get() else {
            tracing::warn!(job = %name, "nobody will miss this job: install the monitoring before saying what is expected");
            return;
        };
        let labels = name.labels(families);
        families.expected_interval.set(labels, interval.as_secs_f64());
        families.expected_since.set(labels, now());
        // A counter that Prometheus sees first when it is 1 has never risen.
        families.starts.add(labels, 0);
        families.ends.add(labels, 0);
    }
}

/// A run of a job that has not begun, made by [`job`](super::job()).
#[derive(Clone)]
#[must_use = "a job does nothing until it is given a future to `run`"]
pub struct Job {
    pub(super) jobs: Jobs,
    name: Name,
    /// `None` for the tenant that is current when the run is made.
    tenant: Option<Tenant>,
    pub(super) attempt: Attempt,
    enqueued: Option<SystemTime>,
    pub(super) trusts_queue: bool,
}

impl Job {
    /// For that tenant; else it is for the one that is current where [`run`](Self::run) is called, which in a task of its
    /// own is none.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The attempt with that number, or an [`Attempt`]; the first is 1, and the default.
    pub fn attempt(mut self, attempt: impl Into<Attempt>) -> Self {
        self.attempt = attempt.into();
        self
    }

    /// Of so many attempts at most: a failure before the last one is `retried`, that of the last one `dead`.
    pub fn of(mut self, max: u32) -> Self {
        self.attempt = self.attempt.of(max);
        self
    }

    /// Put into its queue then: the time until it begins is recorded in `saas_job_queue_wait_seconds`. A
    /// [`JobEnvelope`](super::JobEnvelope) knows it by itself.
    ///
    /// It is the wall clock of another machine. What it says of the future counts as no wait, of more than 30 days ago as
    /// 30 days, and both in `saas_job_clock_skews_total`.
    pub fn enqueued_at(mut self, time: SystemTime) -> Self {
        self.enqueued = Some(time);
        self
    }

    /// Runs `future` as the job. What it returns says whether it succeeded, and is given back as it is.
    #[inline]
    pub fn run<F>(self, future: F) -> JobFuture<F>
    where
        F: Future,
        F::Output: JobResult,
    {
        self.run_judged(future, JobResult::verdict)
    }

    /// Runs `future` as the job, and lets `judge` say whether it succeeded: for an output that does not tell, or for
    /// errors of which some will never go away.
    ///
    /// ```
    /// use monitoring_core::job::{Verdict, job};
    /// # enum ImportError { Busy, NotACsvFile }
    /// # async fn import() -> Result<(), ImportError> { Err(ImportError::NotACsvFile) }
    ///
    /// # #[tokio::main] async fn main() {
    /// let imported = job("import").attempt(1).of(5).run_judged(import(), |result| match result {
    ///     Ok(()) => Verdict::Ok,
    ///     Err(ImportError::Busy) => Verdict::Failed,
    ///     Err(ImportError::NotACsvFile) => Verdict::Dead, // though it is the first of five
    /// });
    /// # let _ = (imported.await, ImportError::Busy);
    /// # }
    /// ```
    #[inline]
    pub fn run_judged<F: Future>(self, future: F, judge: fn(&F::Output) -> Verdict) -> JobFuture<F> {
        let tenant = self.tenant.unwrap_or_else(Tenant::current);
        JobFuture::new(self, tenant, future, judge)
    }

    /// Begins the run, if it is recorded.
    pub(super) fn start(&self, tenant: Tenant) -> Option<Run> {
        let instruments = &self.jobs.instruments;
        let families = instruments.get()?;
        let labels = self.name.labels(families);
        if let Some(enqueued) = self.enqueued {
            families.waited(labels, enqueued);
        }
        Some(Run::start(instruments.clone(), families, (self.name, labels), tenant))
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Job")
            .field("name", &format_args!("{}", self.name))
            .field("tenant", &self.tenant)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
