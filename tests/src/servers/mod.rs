//! Real servers, each as a value: it starts the server, waits until it answers, and ends it when dropped.
//!
//! - `program`: which programs are needed, where they are found, and the Debian package of each.
//! - `process`: a child process in its own group, with its log in a file; no child outlives its parent.
//! - `port`: free loopback ports, and waiting until a server answers on one.
//! - `account`: the unprivileged user that a database runs as when the caller is root.
//! - `folder`: where a server keeps its data, temporary or given.
//! - `secret`: the password that keeps other users of the machine out.
//! - `postgresql`, `mariadb`, `redis`, `prometheus`, `chromedriver`: one server each.
//! - `redis_cluster`, `redis_sentinel`: Redis servers that belong together.
//! - `error`: what can go wrong, with the remedy.

mod account;
mod chromedriver;
mod error;
mod folder;
mod mariadb;
mod pgbouncer;
mod port;
mod postgresql;
mod process;
mod program;
mod prometheus;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod secret;

pub use chromedriver::ChromeDriver;
pub use error::ServerError;
pub use mariadb::MariaDb;
pub use pgbouncer::PgBouncer;
pub use postgresql::PostgreSql;
pub use process::{Launch, Process};
pub use program::Program;
pub use prometheus::{Prometheus, Target};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
