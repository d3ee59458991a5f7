//! Backups, and tests that they can be restored.

use std::fmt;
use std::time::Duration;

use super::builder::Jobs;
use super::name::Name;
use super::record::TargetLabels;

/// What a backup has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The size of what was written, in bytes. One that shrinks by half is worth an alert.
    pub bytes: u64,
}

/// A backup that has not begun, made by [`backup`](super::backup()).
#[derive(Clone)]
#[must_use = "nothing is recorded until a backup is `run`"]
pub struct Backup {
    jobs: Jobs,
    target: &'static str,
}

/// A test that a backup can be restored, made by [`restore_test`](super::restore_test()).
#[derive(Clone)]
#[must_use = "nothing is recorded until a test is `run`"]
pub struct RestoreTest {
    jobs: Jobs,
    target: &'static str,
}

impl Jobs {
    /// A backup of `target`: see [`backup`](super::backup()).
    pub fn backup(&self, target: &'static str) -> Backup {
        Backup { jobs: self.clone(), target }
    }

    /// A test that the backup of `target` can be restored: see [`restore_test`](super::restore_test()).
    pub fn restore_test(&self, target: &'static str) -> RestoreTest {
        RestoreTest { jobs: self.clone(), target }
    }
}

impl Backup {
    /// Expects a backup at least every `interval`: see [`expect_every`](super::expect_every()). Say so when the process
    /// starts, so that one which is never made is missed too.
    pub fn expect_every(self, interval: Duration) -> Self {
        self.jobs.expect(Name::Backup(self.target), interval);
        self
    }

    /// Makes the backup: `work` returns its size.
    ///
    /// It is a job named `backup-` and the target: its time, its panics and whether it is under way are recorded as those
    /// of a job. A panic counts as `failed`, a backup that is given up before its end as `cancelled`.
    pub async fn run<E>(self, work: impl Future<Output = Result<BackupReport, E>>) -> Result<BackupReport, E> {
        let result = self.jobs.named(Name::Backup(self.target)).run(work).await;
        if let (Ok(report), Some(families)) = (&result, self.jobs.instruments.get()) {
            let target = families.registry.symbol(self.target);
            families.backup_size.set(TargetLabels { target }, report.bytes as f64);
        }
        result
    }
}

impl RestoreTest {
    /// Expects a test at least every `interval`: see [`expect_every`](super::expect_every()).
    pub fn expect_every(self, interval: Duration) -> Self {
        self.jobs.expect(Name::RestoreTest(self.target), interval);
        self
    }

    /// Makes the test: `work` restores a backup somewhere, and fails unless all is there.
    ///
    /// It is a job named `restore-test-` and the target.
    pub async fn run<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.jobs.named(Name::RestoreTest(self.target)).run(work).await
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Backup").field("target", &self.target).finish_non_exhaustive()
    }
}

impl fmt::Debug for RestoreTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RestoreTest").field("target", &self.target).finish_non_exhaustive()
    }
}
