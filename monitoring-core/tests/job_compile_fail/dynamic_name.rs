//! The name of a job becomes a label: it is a constant.

use monitoring_core::{Tenant, job};

async fn export(kind: &'static str, tenant: Tenant) {
    println!("{kind}");
    job!(kind, tenant, async {}).await;
}

fn main() {}
