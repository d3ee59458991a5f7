//! What a job returns says whether it succeeded.

use monitoring_core::job;

async fn export() -> u32 {
    job!("export", async { 7_u32 }).await
}

fn main() {}
