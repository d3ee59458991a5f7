//! One run of a job, from its start to its outcome.

use std::time::Instant;

use super::name::Name;
use super::outcome::Outcome;
use super::record::{JobFamilies, JobLabels, RunLabels, now};
use crate::{Instruments, Tenant, UpDownEntry};

/// A run that is under way. Dropped before its end, it is recorded as `cancelled`.
pub(super) struct Run {
    instruments: Instruments<JobFamilies>,
    name: Name,
    labels: JobLabels,
    /// Whom it is done for, as far as is known by now.
    tenant: Tenant,
    start: Instant,
    /// `None` when it is over.
    entry: Option<UpDownEntry>,
}

impl Run {
    /// A run that starts now, of the job with that name and these labels.
    pub(super) fn start(
        instruments: Instruments<JobFamilies>,
        families: &JobFamilies,
        (name, labels): (Name, JobLabels),
        tenant: Tenant,
    ) -> Self {
        families.starts.add(labels, 1);
        let entry = Some(families.active.enter(labels));
        Self { instruments, name, labels, tenant, start: Instant::now(), entry }
    }

    /// It is done for that tenant.
    pub(super) fn set_tenant(&mut self, tenant: Tenant) {
        self.tenant = tenant;
    }

    /// It has ended like this.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.record(outcome);
    }

    /// It has panicked, which is a failure.
    pub(super) fn panicked(mut self, failure: Outcome) {
        if let Some(families) = self.instruments.get() {
            families.panics.add(self.labels, 1);
        }
        self.record(failure);
    }

    fn record(&mut self, outcome: Outcome) {
        let (Some(families), Some(entry)) = (self.instruments.get(), self.entry.take()) else { return };
        let labels = RunLabels { job_name: self.labels.job_name, outcome };
        families.duration.record(labels, self.start.elapsed());
        families.runs.add(self.tenant, labels, 1);
        if outcome == Outcome::Ok {
            families.last_success.set(self.labels, now());
        }
        self.name.ended(families, outcome);
        families.ends.add(self.labels, 1);
        families.active.leave(entry);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.record(Outcome::Cancelled);
    }
}
