//! Jobs, as they are recorded: runs in `runs.rs`; envelopes in `envelopes.rs` and, as JSON, in `written.rs`; what happens over
//! time in `times.rs`.

mod envelopes;
mod runs;
mod times;
#[cfg(feature = "job-serde")]
mod written;

use monitoring_tests::exposition::Samples;

use super::Jobs;
use crate::{Monitoring, Tenant};

/// A monitoring with two tenants, and where its jobs are recorded.
fn set_up() -> (Monitoring, Jobs, [Tenant; 2]) {
    let monitoring = Monitoring::builder("test").admit_verified(false).build().unwrap();
    let jobs = Jobs::of(&monitoring).unwrap();
    let tenants =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), crate::Tier::Standard).unwrap());
    (monitoring, jobs, tenants)
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

/// The runs of the job with that outcome, over all tenants.
fn runs(monitoring: &Monitoring, job: &str, outcome: &str) -> f64 {
    samples(monitoring).sum("saas_job_runs_total", &[("job_name", job), ("outcome", outcome)])
}

fn value(monitoring: &Monitoring, name: &str, label: (&str, &str)) -> Option<f64> {
    samples(monitoring).value(name, &[label])
}
