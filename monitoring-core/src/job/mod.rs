//! Background jobs: how long they take and what becomes of them, for which tenant, how long they wait in their queues, and
//! whether those that have to happen do. Feature `job`.
//!
//! ```
//! use std::time::Duration;
//! use monitoring_core::{Monitoring, Tenant, Tier, job};
//!
//! # async fn write_csv() -> Result<u32, std::io::Error> { Ok(3) }
//! # async fn delete_old_exports() -> Result<(), std::io::Error> { Ok(()) }
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let monitoring = Monitoring::builder("exports").install()?;
//! let tenant = monitoring.tenants().register("acme".parse()?, Tier::Standard)?;
//!
//! // A job is a future with a name; what it returns comes back as it is.
//! let rows = job!("invoice-export", tenant, async {
//!     assert_eq!(Tenant::current(), tenant);
//!     write_csv().await
//! })
//! .await?;
//!
//! // Or a function. With its attempts, a failure is `retried` until the last one, which is `dead`.
//! #[job::job(name = "invoice-import", tenant = tenant, attempt = job::Attempt::number(attempt).of(5))]
//! async fn import_invoices(tenant: Tenant, attempt: u32) -> Result<(), std::io::Error> {
//!     Err(std::io::Error::other("the file is not there yet"))
//! }
//! let _ = import_invoices(tenant, 1).await;
//!
//! // It runs at an interval, and is missed if it does not.
//! job::scheduled("cleanup", Duration::from_secs(3600)).start(&monitoring, delete_old_exports)?;
//!
//! let metrics = monitoring.render();
//! assert!(metrics.contains(r#"saas_job_runs_total{tenant="acme",job_name="invoice-export",outcome="ok"} 1"#));
//! assert!(metrics.contains(r#"saas_job_runs_total{tenant="acme",job_name="invoice-import",outcome="retried"} 1"#));
//! # assert_eq!(rows, 3);
//! # Ok(()) }
//! ```
//!
//! # What is where
//! - [`job!`](crate::job!), [`job()`](job()), [`#[job]`](macro@job): one run of a job. [`JobResult`] says whether it
//!   succeeded, [`Attempt`] whether a failure is the last one.
//! - [`JobEnvelope`]: takes the tenant and the trace of who wants something done through a queue to who does it.
//! - [`layer`]: the same for a framework that calls a tower service, such as apalis.
//! - [`QueueMonitor`], [`Queue`]: how many jobs wait, and since when.
//! - [`expect_every`], [`scheduled`]: what has to happen at an interval.
//! - [`backup`], [`restore_test`]: the jobs that everybody has and nobody looks at.
//! - [`Jobs`]: all of this, for a monitoring that is not the global one.
//!
//! # What is recorded
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | `saas_job_duration_seconds` | histogram | `job_name`, `outcome` | how long runs took, each attempt for itself |
//! | `saas_job_runs_total` | counter | `tenant`, `job_name`, `outcome` | runs that have ended |
//! | `saas_job_starts_total`, `saas_job_ends_total` | counter | `job_name` | runs that have begun, and that have ended |
//! | `saas_job_active` | gauge | `job_name` | runs that are under way |
//! | `saas_job_panics_total` | counter | `job_name` | runs that ended by a panic |
//! | `saas_job_last_success_timestamp_seconds` | gauge | `job_name` | when the last run succeeded |
//! | `saas_job_expected_interval_seconds`, `saas_job_expected_since_timestamp_seconds` | gauge | `job_name` | what [`expect_every`] says |
//! | `saas_job_missed_runs_total` | counter | `job_name` | times of a [`Schedule`] that passed while it was busy |
//! | `saas_job_queue_wait_seconds` | histogram | `job_name` | how long jobs waited |
//! | `saas_job_clock_skews_total` | counter | `job_name` | waits that cannot be, because clocks differ |
//! | `saas_job_queue_depth`, `saas_job_queue_age_seconds`, `saas_job_queue_up` | gauge | `queue` | what waits |
//! | `saas_backup_last_success_timestamp_seconds`, `saas_backup_size_bytes` | gauge | `target` | the last backup |
//! | `saas_backup_runs_total`, `saas_restore_test_runs_total` | counter | `target`, `outcome` | backups and tests that have ended |
//! | `saas_restore_test_last_success_timestamp_seconds` | gauge | `target` | the last test |
//!
//! `outcome` is one of
//! - `ok`: the job is done.
//! - `retried`: the attempt failed, and there will be another one.
//! - `dead`: the last attempt failed, or one after which no other is of use.
//! - `failed`: it failed, and nothing is known of attempts.
//! - `cancelled`: the future was dropped before its end, by a shutdown, a time-out or the loss of a lease. Whether the job is
//!   taken up again is for the queue to decide.
//!
//! So the attempts are the sum over all outcomes, and the jobs that have come to an end are `ok`, `failed` and `dead`. A
//! panic is a failure like any other, counted in `saas_job_panics_total` besides, and goes on. What has begun and ended in
//! no way was in a process that died: `saas_job_starts_total` is ahead of `saas_job_ends_total` then, by more than are active.
//!
//! # What it costs
//! A run reads the monotonic clock twice and the wall clock once, looks its name up, and does about ten atomic operations.
//! It allocates nothing once its series exist; the future of a job is larger than the one in it by less than 200 bytes.
//! Before the monitoring is installed it is one branch.
//!
//! # Names
//! The name of a job, a queue or a target becomes a label: it is a `&'static str`, and for [`job!`](crate::job!) and
//! `#[job]` a constant, so that it cannot come from a request.
//
// `builder.rs` describes a run before it starts; `name.rs` is what it is called. `future.rs` polls it as the work of its
// tenant, `run.rs` is what is recorded of it from start to end into the families of `record.rs`, and `outcome.rs` says what
// became of it. `envelope.rs` and `trace.rs` take a job through a queue, `layer.rs` fits it into a tower service.
// `queue.rs` looks at queues, `schedule.rs` runs jobs at an interval, `backup.rs` makes backups; `macros.rs` is `job!`.

mod backup;
mod builder;
mod envelope;
mod future;
mod layer;
mod macros;
mod name;
mod outcome;
mod queue;
mod record;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod trace;

use std::time::Duration;

pub use backup::{Backup, BackupReport, RestoreTest};
pub use builder::{Job, Jobs};
pub use envelope::JobEnvelope;
pub use future::JobFuture;
pub use layer::{JobLayer, JobService, NotRead, Read, ReadBy};
#[doc(hidden)]
pub use macros::checked_name;
pub use monitoring_macros::job;
pub use outcome::{Attempt, JobResult, Verdict};
pub use queue::{Queue, QueueMonitor, QueueState};
pub use schedule::Schedule;

/// A run of the job with that name: give it a future to [`run`](Job::run).
///
/// ```
/// use monitoring_core::job::job;
///
/// # #[tokio::main] async fn main() {
/// let sent = job("reminder").attempt(2).of(5).run(async { Err::<(), _>("the mailbox is full") }).await;
/// assert_eq!(sent, Err("the mailbox is full"));
/// # }
/// ```
///
/// The loop around it is yours, or that of a crate such as [`backon`](https://docs.rs/backon): give each pass its number.
pub fn job(name: &'static str) -> Job {
    Jobs::global().job(name)
}

/// Expects that the job with that name succeeds at least every `interval`, from now on: say so when the process starts.
///
/// It sets `saas_job_expected_interval_seconds` and `saas_job_expected_since_timestamp_seconds`. With
/// `saas_job_last_success_timestamp_seconds` they tell when a job is overdue, also one that has never run, and also while
/// the process is started anew again and again: the guide has the query. Before the monitoring is installed it
/// does nothing but log a warning.
pub fn expect_every(name: &'static str, interval: Duration) {
    Jobs::global().expect_every(name, interval);
}

/// A job that runs at an interval: see [`Schedule::start`].
///
/// It is a loop and no more: each replica runs it, and what is due at a time of day is for a crate that knows of those.
pub fn scheduled(name: &'static str, every: Duration) -> Schedule {
    Schedule::new(name, every)
}

/// A backup of `target`, such as `postgres`.
///
/// ```
/// use std::time::Duration;
/// use monitoring_core::job::{BackupReport, backup};
///
/// # async fn dump_and_upload() -> Result<u64, std::io::Error> { Ok(1_000_000) }
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nightly = backup("postgres").expect_every(Duration::from_secs(24 * 3600));
/// let report = nightly.run(async { Ok::<_, std::io::Error>(BackupReport { bytes: dump_and_upload().await? }) }).await?;
/// # assert_eq!(report.bytes, 1_000_000);
/// # Ok(()) }
/// ```
pub fn backup(target: &'static str) -> Backup {
    Jobs::global().backup(target)
}

/// A test that the backup of `target` can be restored: a backup that was never restored is a hope.
pub fn restore_test(target: &'static str) -> RestoreTest {
    Jobs::global().restore_test(target)
}

/// A tower layer that makes each request a run of the job with that name. Its outcome is that of the service's result.
///
/// ```
/// use monitoring_core::job::{self, Attempt};
/// use monitoring_core::Monitoring;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// struct Export {
///     tenant: String,
///     tries: u32,
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("exports").install()?;
/// let tenants = monitoring.tenants().clone();
/// let worker = ServiceBuilder::new()
///     .layer(
///         job::layer("export")
///             .tenant(move |export: &Export| tenants.lookup(&export.tenant))
///             .attempt(|export: &Export| Attempt::number(export.tries + 1).of(5)),
///     )
///     .service(service_fn(|_: Export| async { Ok::<(), std::io::Error>(()) }));
///
/// worker.oneshot(Export { tenant: "acme".into(), tries: 0 }).await?;
/// # Ok(()) }
/// ```
pub fn layer(name: &'static str) -> JobLayer {
    Jobs::global().layer(name)
}
