//! What the store has counted, told by tools that are not ours: Python's parsers, `promtool`, a real Prometheus, the
//! kernel's account of the process.
//!
//! - `truth`: threads record while expositions are made. `snapshots` checks each of these.
//! - `memory`: what records cost when nobody scrapes, and when hostile tenants come.
//! - `readback`: whatever the texts and the values are, independent parsers read back what was recorded.
//!   `expected` says what that is, `texts` which texts there are.
//! - `facade`: the same by way of the `metrics` facade.
//! - `rejected`: what cannot be recorded does no harm, and is counted.
//! - `prometheus`: a Prometheus that scrapes a listener answers queries with the store's values,
//!   `native` with its native histograms, `exemplars` with its exemplars.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test calls may panic as the test may"
)]

mod exemplars;
mod expected;
mod facade;
mod memory;
mod metrics;
mod native;
mod prometheus;
mod readback;
mod rejected;
mod snapshots;
mod texts;
mod truth;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts what is allocated, for `memory`.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
