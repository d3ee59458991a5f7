//! The future of a job.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::Job;
use super::outcome::{Outcome, Verdict};
use super::run::Run;
use crate::{Tenant, TenantContext};

/// A job that runs, made by [`Job::run`]. It begins when it is first polled, and gives back what the future in it does.
///
/// The job's tenant is current in the future and in its destructors. Dropped before its end, the run counts as
/// `cancelled`; a panic is counted and goes on.
#[pin_project(PinnedDrop)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct JobFuture<F: Future> {
    job: Job,
    judge: fn(&F::Output) -> Verdict,
    context: TenantContext,
    has_begun: bool,
    /// `None` before it begins, after its end, and where nothing is recorded.
    run: Option<Run>,
    /// Taken when it is done, or when this is dropped.
    #[pin]
    future: Option<F>,
}

impl<F: Future> JobFuture<F> {
    pub(super) fn new(job: Job, tenant: Tenant, future: F, judge: fn(&F::Output) -> Verdict) -> Self {
        Self { job, judge, context: TenantContext::new(tenant), has_begun: false, run: None, future: Some(future) }
    }
}

impl<F: Future> Future for JobFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if !*this.has_begun {
            *this.has_begun = true;
            *this.run = this.job.start(this.context.tenant());
        }
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };

        let failure = this.job.attempt.outcome(Verdict::Failed);
        let mut polling = Polling { run: this.run, context: this.context, failure, unwinds: true };
        let entered = polling.context.enter();
        let polled = future.poll(task).map(|output| {
            let verdict = (this.judge)(&output);
            this.future.set(None);
            (output, verdict)
        });
        drop(entered);
        polling.unwinds = false;
        drop(polling);

        polled.map(|(output, verdict)| {
            if let Some(run) = this.run.take() {
                run.end(this.job.attempt.outcome(verdict));
            }
            output
        })
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for JobFuture<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let entered = this.context.enter();
        this.future.set(None);
        drop(entered);
        // Dropped after this, a run that is not over counts as cancelled.
        if let Some(run) = this.run {
            run.set_tenant(this.context.tenant());
        }
    }
}

/// A poll that is under way. At its end the run knows whom it was done for, and whether it panicked.
struct Polling<'a> {
    run: &'a mut Option<Run>,
    context: &'a mut TenantContext,
    /// What a panic comes to.
    failure: Outcome,
    unwinds: bool,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.run.as_mut() {
            run.set_tenant(self.context.tenant());
        }
        if self.unwinds
            && let Some(run) = self.run.take()
        {
            run.panicked(self.failure);
        }
    }
}

impl<F: Future> fmt::Debug for JobFuture<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JobFuture").field("job", &self.job).finish_non_exhaustive()
    }
}
