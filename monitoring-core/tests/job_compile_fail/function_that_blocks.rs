//! A job is asynchronous.

use monitoring_core::job;

#[job::job(name = "export")]
fn export() {}

fn main() {}
