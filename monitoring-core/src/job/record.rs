//! What is recorded of jobs, and with which labels.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::outcome::Outcome;
use crate::catalogue::{
    SAAS_BACKUP_LAST_SUCCESS, SAAS_BACKUP_RUNS, SAAS_BACKUP_SIZE, SAAS_JOB_ACTIVE, SAAS_JOB_CLOCK_SKEWS,
    SAAS_JOB_DURATION, SAAS_JOB_ENDS, SAAS_JOB_EXPECTED_INTERVAL, SAAS_JOB_EXPECTED_SINCE, SAAS_JOB_LAST_SUCCESS,
    SAAS_JOB_MISSED_RUNS, SAAS_JOB_PANICS, SAAS_JOB_QUEUE_AGE, SAAS_JOB_QUEUE_DEPTH, SAAS_JOB_QUEUE_UP,
    SAAS_JOB_QUEUE_WAIT, SAAS_JOB_RUNS, SAAS_JOB_STARTS, SAAS_RESTORE_TEST_LAST_SUCCESS, SAAS_RESTORE_TEST_RUNS,
};
use crate::{
    Counter, Gauge, Histogram, InstrumentSet, LabelSet, Registry, RegistryError, Symbol, TenantCounter, UpDownCounter,
};

/// The families that jobs are recorded in.
#[derive(Debug)]
pub(super) struct JobFamilies {
    pub(super) registry: Registry,
    pub(super) duration: Histogram<RunLabels>,
    pub(super) runs: TenantCounter<RunLabels>,
    pub(super) starts: Counter<JobLabels>,
    pub(super) ends: Counter<JobLabels>,
    pub(super) active: UpDownCounter<JobLabels>,
    pub(super) panics: Counter<JobLabels>,
    pub(super) last_success: Gauge<JobLabels>,
    pub(super) expected_interval: Gauge<JobLabels>,
    pub(super) expected_since: Gauge<JobLabels>,
    pub(super) missed_runs: Counter<JobLabels>,
    queue_wait: Histogram<JobLabels>,
    clock_skews: Counter<JobLabels>,
    pub(super) queue_depth: Gauge<QueueLabels>,
    pub(super) queue_age: Gauge<QueueLabels>,
    pub(super) queue_up: Gauge<QueueLabels>,
    pub(super) backup_last_success: Gauge<TargetLabels>,
    pub(super) backup_size: Gauge<TargetLabels>,
    pub(super) backup_runs: Counter<TargetRunLabels>,
    pub(super) restore_test_last_success: Gauge<TargetLabels>,
    pub(super) restore_test_runs: Counter<TargetRunLabels>,
}

/// The labels of what happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct JobLabels {
    pub(super) job_name: Symbol,
}

/// The labels of `saas.job.duration`, and of `saas.job.runs` besides the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct RunLabels {
    pub(super) job_name: Symbol,
    pub(super) outcome: Outcome,
}

/// The labels of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct QueueLabels {
    pub(super) queue: Symbol,
}

/// The labels of what is backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct TargetLabels {
    pub(super) target: Symbol,
}

/// The labels of backups and of tests to restore them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct TargetRunLabels {
    pub(super) target: Symbol,
    pub(super) outcome: Outcome,
}

impl InstrumentSet for JobFamilies {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            registry: registry.clone(),
            duration: registry.histogram(&SAAS_JOB_DURATION)?,
            runs: registry.tenant_counter(&SAAS_JOB_RUNS)?,
            starts: registry.counter(&SAAS_JOB_STARTS)?,
            ends: registry.counter(&SAAS_JOB_ENDS)?,
            active: registry.up_down_counter(&SAAS_JOB_ACTIVE)?,
            panics: registry.counter(&SAAS_JOB_PANICS)?,
            last_success: registry.gauge(&SAAS_JOB_LAST_SUCCESS)?,
            expected_interval: registry.gauge(&SAAS_JOB_EXPECTED_INTERVAL)?,
            expected_since: registry.gauge(&SAAS_JOB_EXPECTED_SINCE)?,
            missed_runs: registry.counter(&SAAS_JOB_MISSED_RUNS)?,
            queue_wait: registry.histogram(&SAAS_JOB_QUEUE_WAIT)?,
            clock_skews: registry.counter(&SAAS_JOB_CLOCK_SKEWS)?,
            queue_depth: registry.gauge(&SAAS_JOB_QUEUE_DEPTH)?,
            queue_age: registry.gauge(&SAAS_JOB_QUEUE_AGE)?,
            queue_up: registry.gauge(&SAAS_JOB_QUEUE_UP)?,
            backup_last_success: registry.gauge(&SAAS_BACKUP_LAST_SUCCESS)?,
            backup_size: registry.gauge(&SAAS_BACKUP_SIZE)?,
            backup_runs: registry.counter(&SAAS_BACKUP_RUNS)?,
            restore_test_last_success: registry.gauge(&SAAS_RESTORE_TEST_LAST_SUCCESS)?,
            restore_test_runs: registry.counter(&SAAS_RESTORE_TEST_RUNS)?,
        })
    }
}

impl JobFamilies {
    /// A job that was put into its queue at `enqueued` begins now.
    pub(super) fn waited(&self, labels: JobLabels, enqueued: SystemTime) {
        let waited = SystemTime::now().duration_since(enqueued).ok();
        let plausible = waited.map_or(Duration::ZERO, |waited| waited.min(LONGEST_WAIT));
        if waited != Some(plausible) {
            self.clock_skews.add(labels, 1);
        }
        self.queue_wait.record(labels, plausible);
    }
}

/// What a single message can say to have waited. A hostile one that claims 50 years would spoil the sum of all.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The time in seconds since 1970, as Prometheus wants it; before that it is 0.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
