//! The push of the metrics by OTLP, received by collectors that share no code with it.
//!
//! `collector/` is the receiver: HTTP and gRPC, with ways to misbehave; `points.rs` reads what it got as samples that can be
//! compared with an exposition; `service.rs` is what is measured. The tests: `delivery.rs` (all arrives, as it is),
//! `distribution.rs` (exponential buckets and exemplars), `delta.rs`, `split.rs` (a request for each tenant), `faults.rs` (the collector fails), `shutdown.rs`, `tls.rs`,
//! `environment.rs` (set up by variables), `log.rs` (what is logged, and that nothing is traced).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod collector;
mod delivery;
mod delta;
mod distribution;
mod environment;
mod faults;
mod log;
mod points;
mod service;
mod shutdown;
mod split;
mod tls;

use std::time::{Duration, Instant};

/// How long a test waits for what must happen; long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a future on this thread, without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
