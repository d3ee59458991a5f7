//! Background jobs: their runs, their queues, and what is expected of them.

use super::{Descriptor, Unit};

/// From what takes the time of a request to what takes a night.
const RUN_SECONDS: &[f64] = &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];

/// From a worker that was idle to a queue that nobody has looked at since yesterday.
const WAIT_SECONDS: &[f64] = &[0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];

const JOB: &[&str] = &["job.name"];
const QUEUE: &[&str] = &["queue"];
const TARGET: &[&str] = &["target"];

/// How long runs of jobs took; over all tenants.
pub const SAAS_JOB_DURATION: Descriptor = Descriptor::histogram(
    "saas.job.duration",
    Unit::Seconds,
    RUN_SECONDS,
    "Duration of the runs of a job, each attempt for itself.",
)
.labels(&["job.name", "outcome"]);

/// What became of the runs of jobs.
pub const SAAS_JOB_RUNS: Descriptor = Descriptor::counter(
    "saas.job.runs",
    Unit::Count("{run}"),
    "Runs of a job that have ended, each attempt for itself.",
)
.labels(&["job.name", "outcome"])
.per_tenant();

/// Runs that have begun. What has begun and never ends was in a process that died.
pub const SAAS_JOB_STARTS: Descriptor = Descriptor::counter(
    "saas.job.starts",
    Unit::Count("{run}"),
    "Runs of a job that have begun, each attempt for itself.",
)
.labels(JOB);

/// Runs that have ended, over all outcomes: a counter that is there before the first of them, as `saas.job.starts` is.
pub const SAAS_JOB_ENDS: Descriptor = Descriptor::counter(
    "saas.job.ends",
    Unit::Count("{run}"),
    "Runs of a job that have ended, whatever became of them.",
)
.labels(JOB);

/// Runs that are under way.
pub const SAAS_JOB_ACTIVE: Descriptor =
    Descriptor::up_down_counter("saas.job.active", Unit::Count("{run}"), "Runs of a job that are under way.")
        .labels(JOB);

/// Runs that ended by a panic; they are failures in `saas.job.runs` too.
pub const SAAS_JOB_PANICS: Descriptor =
    Descriptor::counter("saas.job.panics", Unit::Count("{panic}"), "Runs of a job that ended by a panic.").labels(JOB);

/// When a job last succeeded in this process.
pub const SAAS_JOB_LAST_SUCCESS: Descriptor = Descriptor::gauge(
    "saas.job.last_success.timestamp",
    Unit::Seconds,
    "When a job last succeeded in this process, in seconds since 1970; absent before the first time.",
)
.labels(JOB);

/// How often a job has to succeed.
pub const SAAS_JOB_EXPECTED_INTERVAL: Descriptor = Descriptor::gauge(
    "saas.job.expected_interval",
    Unit::Seconds,
    "Longest time that is expected between two successes of a job.",
)
.labels(JOB);

/// Since when a job is expected to succeed.
pub const SAAS_JOB_EXPECTED_SINCE: Descriptor = Descriptor::gauge(
    "saas.job.expected_since.timestamp",
    Unit::Seconds,
    "When this process began to expect successes of a job, in seconds since 1970.",
)
.labels(JOB);

/// Scheduled runs that were left out, because the one before was not over.
pub const SAAS_JOB_MISSED_RUNS: Descriptor = Descriptor::counter(
    "saas.job.missed_runs",
    Unit::Count("{run}"),
    "Scheduled runs of a job that were left out because the one before took too long.",
)
.labels(JOB);

/// How long jobs waited in their queue; over all tenants.
pub const SAAS_JOB_QUEUE_WAIT: Descriptor = Descriptor::histogram(
    "saas.job.queue.wait",
    Unit::Seconds,
    WAIT_SECONDS,
    "Time from the moment a job was put into its queue to the beginning of its run.",
)
.labels(JOB);

/// Jobs whose time of entry into the queue cannot be right.
pub const SAAS_JOB_CLOCK_SKEWS: Descriptor = Descriptor::counter(
    "saas.job.clock_skews",
    Unit::Count("{job}"),
    "Jobs that were put into their queue in the future, or more than 30 days ago, by the clock of who did so.",
)
.labels(JOB);

/// Jobs that wait.
pub const SAAS_JOB_QUEUE_DEPTH: Descriptor =
    Descriptor::gauge("saas.job.queue.depth", Unit::Count("{job}"), "Jobs that wait in a queue.").labels(QUEUE);

/// How long the oldest of them waits.
pub const SAAS_JOB_QUEUE_AGE: Descriptor = Descriptor::gauge(
    "saas.job.queue.age",
    Unit::Seconds,
    "Time that the oldest job of a queue has waited; 0 if none waits.",
)
.labels(QUEUE);

/// Whether a queue could be asked.
pub const SAAS_JOB_QUEUE_UP: Descriptor = Descriptor::gauge(
    "saas.job.queue.up",
    Unit::Count("{queue}"),
    "Whether a queue could be asked for its depth and age the last time: 1 or 0.",
)
.labels(QUEUE);

/// When a backup was last made in this process.
pub const SAAS_BACKUP_LAST_SUCCESS: Descriptor = Descriptor::gauge(
    "saas.backup.last_success.timestamp",
    Unit::Seconds,
    "When a backup was last made by this process, in seconds since 1970; absent before the first time.",
)
.labels(TARGET);

/// How large it was.
pub const SAAS_BACKUP_SIZE: Descriptor =
    Descriptor::gauge("saas.backup.size", Unit::Bytes, "Size of the last backup that was made.").labels(TARGET);

/// What became of backups.
pub const SAAS_BACKUP_RUNS: Descriptor =
    Descriptor::counter("saas.backup.runs", Unit::Count("{run}"), "Backups that have ended, by outcome.")
        .labels(&["target", "outcome"]);

/// When a backup was last restored for a test.
pub const SAAS_RESTORE_TEST_LAST_SUCCESS: Descriptor = Descriptor::gauge(
    "saas.restore_test.last_success.timestamp",
    Unit::Seconds,
    "When a backup was last restored for a test by this process, in seconds since 1970; absent before the first time.",
)
.labels(TARGET);

/// What became of these tests.
pub const SAAS_RESTORE_TEST_RUNS: Descriptor = Descriptor::counter(
    "saas.restore_test.runs",
    Unit::Count("{run}"),
    "Tests that restore a backup that have ended, by outcome.",
)
.labels(&["target", "outcome"]);
