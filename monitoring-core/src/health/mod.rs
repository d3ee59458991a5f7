//! What a service depends on, whether that is there, and so whether the service is ready; what it does when it is told to
//! end; and what an autoscaler looks at. Feature `health`.
//!
//! ```
//! use monitoring_core::Monitoring;
//! use monitoring_core::health::{Health, HttpGet};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let monitoring = Monitoring::builder("billing").build()?;
//! Health::builder(&monitoring)
//!     // .check("postgres", pool.clone()).critical()       a pool of monitoring-sqlx or monitoring-redis
//!     .check("rates", HttpGet::new("http://rates.internal/healthz")?)
//!     .start()?;
//! # Ok(()) }
//! ```
//!
//! With `monitoring-axum` that is all: `/readyz` answers by it, and shows operators the reasons.
//!
//! # What is recorded
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | `saas_dependency_up` | gauge | `dependency`, `critical` | 1 if the last check passed, 0 if it failed; absent before its end |
//! | `saas_dependency_check_duration_seconds` | histogram | `dependency`, `critical` | how long checks took |
//! | `saas_tls_certificate_not_after_timestamp_seconds` | gauge | `endpoint` | when a certificate ends; by `TlsCertificate` (feature `health-tls`) |
//! | `saas_autoscale_signal` | gauge | `signal` | how much there is to do; by [`Autoscale`] |
//!
//! # What it costs
//! Each dependency has a task, and each check another one while it runs: there is never more than one check of a
//! dependency under way, however long it hangs. Asking for readiness takes a short lock for each critical dependency.
//!
//! # Who sees what
//! Whether the service is ready may be seen by all. Names, [`Reason`]s and texts are in the [`HealthReport`], which is for
//! operators. Neither holds the text of an error: see [`Problem`].
//
// `builder.rs` puts the checks together; `run.rs` runs each again and again and writes what it finds into a `state.rs`,
// where it becomes a status. `registry.rs` and `report.rs` are how that is read. A check is what `check.rs` says, and fails
// with a `problem.rs`; those that come with the crate are in `checks/`. `drain.rs` is how a service ends, `autoscale.rs`
// what it tells those who start others beside it.

mod autoscale;
mod builder;
mod check;
mod checks;
mod drain;
mod error;
mod problem;
mod record;
mod registry;
mod report;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use autoscale::Autoscale;
pub use builder::{CheckBuilder, HealthBuilder};
pub use check::{Checking, HealthCheck, Passed};
#[cfg(unix)]
pub use checks::DiskSpace;
#[cfg(feature = "health-tls")]
pub use checks::TlsCertificate;
pub use checks::{HttpGet, TcpConnect};
pub use drain::{Drain, DrainError, Draining};
pub use error::{HealthError, InvalidTarget};
pub use problem::{Problem, Reason};
pub use registry::Health;
pub use report::{CheckReport, HealthReport, Readiness};
#[cfg(feature = "health-tls")]
pub use rustls;
pub use state::Status;
