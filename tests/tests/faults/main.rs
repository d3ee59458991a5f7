//! What users see when something fails, row by row of the catalogue of faults: a test's name begins with its row's id.
//!
//! ```text
//! http.rs            D1-D3, D5-D7: requests that are dropped, panic, stream, nest, pass through
//! http_upgrades.rs   D4: WebSockets, event streams, tunnels
//! lifecycle.rs   D8-D16: runtimes, shutdown, signals, clocks, what runs out
//! sql_sessions.rs    E1-E6: pools, transactions, servers that stop
//! sql_poolers.rs     E12: statements of one client that another would execute, behind a pooler
//! sql_rows.rs        E12: rows of another tenant, looked at as they are read
//! sql_tenants.rs     E12: rows of one tenant that another would see
//! sql_statements.rs  E2, E7, E8: cancelled statements, secrets, dynamic SQL
//! redis.rs       E9, E10: restarts, redirects, keys
//! jobs.rs        E11, E12: retries, crashes, one tenant's scope in another's work
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test calls may panic as the test may"
)]

mod http;
mod http_upgrades;
mod jobs;
mod lifecycle;
mod redis;
mod sql_poolers;
mod sql_rows;
mod sql_sessions;
mod sql_statements;
mod sql_tenants;
