//! The guard of a tenant stays on its thread: a future that is spawned cannot hold it.

use monitoring_core::Tenant;

async fn work() {
    let _entered = Tenant::NONE.enter();
    tokio::task::yield_now().await;
}

fn is_spawnable(_: impl Future + Send) {}

fn main() {
    is_spawnable(work());
}
