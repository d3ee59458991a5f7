//! Jobs that run at an interval.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use super::builder::Jobs;
use super::name::Name;
use super::outcome::JobResult;
use crate::{Monitoring, RegistryError, Tenant};

/// A job that runs at an interval, made by [`scheduled`](super::scheduled()).
#[derive(Clone)]
#[must_use = "nothing runs until `start`"]
pub struct Schedule {
    name: &'static str,
    every: Duration,
    first_in: Duration,
    tenant: Tenant,
}

impl Schedule {
    pub(super) fn new(name: &'static str, every: Duration) -> Self {
        Self { name, every: every.max(Duration::from_millis(1)), first_in: Duration::ZERO, tenant: Tenant::NONE }
    }

    /// Runs for the first time after so long, not at once. Give each replica, or each job of many, its own.
    pub fn first_in(mut self, delay: Duration) -> Self {
        self.first_in = delay;
        self
    }

    /// Runs for that tenant, not for none.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }

    /// Runs `work` from now on until [`Monitoring::shutdown`], each time as a [`job`](super::job()) of that name on a task
    /// of its own, and [expects](super::expect_every()) it to succeed at that interval.
    ///
    /// A run is never begun before the one before is over. The times that pass meanwhile are left out and counted in
    /// `saas_job_missed_runs_total`; only the first of them is made up for, at once. A panic ends its run, not the
    /// schedule. A run that is under way at the shutdown is waited for, until the deadline of the shutdown; aborting the
    /// task cancels it.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub fn start<W, F>(self, monitoring: &Monitoring, work: W) -> Result<JoinHandle<()>, RegistryError>
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: JobResult + Send + 'static,
    {
        let jobs = Jobs::of(monitoring)?;
        jobs.expect_every(self.name, self.every);
        let draining = monitoring.draining();
        Ok(tokio::spawn(monitoring.track(self.run(jobs, draining, Arc::new(work)))))
    }

    async fn run<W, F>(self, jobs: Jobs, end: impl Future<Output = ()>, work: Arc<W>)
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: JobResult + Send + 'static,
    {
        let mut end = pin!(end);
        // One that is farther away than time goes never comes.
        let Some(first) = Instant::now().checked_add(self.first_in) else { return end.await };
        let mut ticks = interval_at(first, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let due = tokio::select! {
                biased;
                () = &mut end => return,
                due = ticks.tick() => due,
            };
            self.count_missed(&jobs, due.elapsed());
            let (job, work) = (jobs.job(self.name).tenant(self.tenant), Arc::clone(&work));
            // On a task of its own it may panic without ending this one. The run has counted that.
            let _ = AbortOnDropHandle::new(tokio::spawn(job.run(async move { work().await }))).await;
        }
    }

    /// Counts the times that have passed since this run was due, at which another one was.
    fn count_missed(&self, jobs: &Jobs, late: Duration) {
        let missed = late.as_nanos() / self.every.as_nanos().max(1);
        if let (Some(families), Ok(missed @ 1..)) = (jobs.instruments.get(), u64::try_from(missed)) {
            let labels = Name::Own(self.name).labels(families);
            families.missed_runs.add(labels, missed);
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Schedule").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}
