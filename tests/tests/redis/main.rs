//! `monitoring-redis` on real servers.
//!
//! ```text
//! requests.rs     what is sent on a connection
//! connections.rs  how one is got and given back
//! lookups.rs      what was there and what was not, by the reply
//! scripts.rs      scripts, and any connection that is measured without a pool
//! cache.rs        the cache: what it keeps, for whom, and what it counts
//! flights.rs      the cache, asked by many at the same time
//! subscriber.rs   messages of channels
//! topologies.rs   a cluster, and a master that Sentinel names
//! ```

#![allow(clippy::unwrap_used, reason = "the set-up of a test may panic as its test functions may")]

mod bench;
mod cache;
mod connections;
mod flights;
mod lookups;
mod requests;
mod scripts;
mod subscriber;
mod topologies;
