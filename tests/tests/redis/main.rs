//! `monitoring-redis` on a real Redis: `requests.rs` is about what is sent on a connection, `connections.rs` about how one is
//! got and given back.

#![allow(clippy::unwrap_used, reason = "the set-up of a test may panic as its test functions may")]

mod bench;
mod connections;
mod requests;
