//! The name of a job function is a constant, too.

use monitoring_core::job;

#[job::job(name = format!("export-{kind}").leak())]
async fn export(kind: &str) {
    println!("{kind}");
}

fn main() {}
