//! What a job is called, and what else that says of it.

use std::fmt;

use super::outcome::Outcome;
use super::record::{JobFamilies, JobLabels, TargetLabels, TargetRunLabels, now};

/// The name of a job, label `job_name`: of the application's own jobs as it is, of backups and restore tests with their target.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Own(&'static str),
    Backup(&'static str),
    RestoreTest(&'static str),
}

impl Name {
    pub(super) fn labels(self, families: &JobFamilies) -> JobLabels {
        let job_name = match self {
            Self::Own(name) => families.registry.symbol(name),
            Self::Backup(_) | Self::RestoreTest(_) => families.registry.symbol(&self.to_string()),
        };
        JobLabels { job_name }
    }

    /// Records what a backup and a restore test have besides what every job has.
    pub(super) fn ended(self, families: &JobFamilies, outcome: Outcome) {
        let (target, runs, last_success) = match self {
            Self::Own(_) => return,
            Self::Backup(target) => (target, &families.backup_runs, &families.backup_last_success),
            Self::RestoreTest(target) => (target, &families.restore_test_runs, &families.restore_test_last_success),
        };
        let target = families.registry.symbol(target);
        runs.add(TargetRunLabels { target, outcome }, 1);
        if outcome == Outcome::Ok {
            last_success.set(TargetLabels { target }, now());
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(name) => formatter.write_str(name),
            Self::Backup(target) => write!(formatter, "backup-{target}"),
            Self::RestoreTest(target) => write!(formatter, "restore-test-{target}"),
        }
    }
}
