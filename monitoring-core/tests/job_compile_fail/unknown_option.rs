//! A job has a name, a tenant and an attempt.

use monitoring_core::job;

#[job::job(name = "export", retries = 5)]
async fn export() {}

fn main() {}
