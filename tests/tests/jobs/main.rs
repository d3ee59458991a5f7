//! Background jobs beside the crates that run them, and before a real Prometheus.
//!
//! ```text
//! framework.rs   the layer in a worker of apalis
//! retries.rs     attempts by backon, as the guide shows it
//! queues.rs      a queue in PostgreSQL, asked for its depth and age
//! alerts.rs      the queries of the guide, by tests of rules of Prometheus
//! scraped.rs     the label `job`, as a scrape has it
//! ```
#![allow(clippy::unwrap_used, reason = "what a test calls may panic as the test may")]

mod alerts;
mod framework;
mod queues;
mod retries;
mod scraped;

use monitoring_core::job::Jobs;
use monitoring_core::{Monitoring, Tenant, Tier};
use monitoring_tests::exposition::Samples;

/// A monitoring with two tenants, and where its jobs are recorded.
fn set_up() -> (Monitoring, Jobs, [Tenant; 2]) {
    let monitoring = Monitoring::builder("jobs").build().unwrap();
    let jobs = Jobs::of(&monitoring).unwrap();
    let tenants =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap());
    (monitoring, jobs, tenants)
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

/// The runs of that tenant's job with that outcome.
fn runs(samples: &Samples, tenant: &str, job: &str, outcome: &str) -> f64 {
    samples.sum("saas_job_runs_total", &[("tenant", tenant), ("job_name", job), ("outcome", outcome)])
}
