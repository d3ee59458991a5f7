//! The service through its router, mostly on SQLite and without Redis.
//!
//! The monitoring of a process is installed once, so that all tests here record into the same: each uses tenants of its
//! own where it looks at their metrics. `bench.rs` starts a service and talks to it; `sign_in.rs` is about who somebody is,
//! `product.rs` about what they can do, `measured.rs` about what `/metrics` says of it, `servers.rs` about PostgreSQL and
//! Redis, `startup.rs` about bad settings, `stopping.rs` about how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the set-up of a test may panic as its test functions may"
)]

mod bench;
mod measured;
mod product;
mod servers;
mod sign_in;
mod startup;
mod stopping;
