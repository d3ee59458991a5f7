//! Real servers, each as a value: it starts the server, waits until it answers, and ends it when dropped.
//!
//! - `program`: which programs are needed, where they are found, and the Debian package of each.
//! - `process`: a child process in its own group, with its log in a file; no child outlives its parent.
//! - `port`: free loopback ports, and waiting until a server answers on one.
//! - `account`: the unprivileged user that PostgreSQL runs as when the caller is root.
//! - `folder`: where a server keeps its data, temporary or given.
//! - `secret`: the password that keeps other users of the machine out.
//! - `postgresql`, `redis`, `prometheus`: one server each.
//! - `error`: what can go wrong, with the remedy.

mod account;
mod error;
mod folder;
mod port;
mod postgresql;
mod process;
mod program;
mod prometheus;
mod redis;
mod secret;

pub use error::ServerError;
pub use postgresql::PostgreSql;
pub use process::{Launch, Process};
pub use program::Program;
pub use prometheus::{Prometheus, Target};
pub use redis::Redis;
