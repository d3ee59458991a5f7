//! A job has a name.

use monitoring_core::job;

async fn export() {
    job!("", async {}).await;
}

fn main() {}
