//! A project and report tool for many tenants: the sample service of the monitoring crates.
//!
//! How the monitoring is attached can be read in four places: `monitoring.rs` says how much is measured and `main.rs`
//! installs it, [`router`] adds the layer, and `auth.rs` names the tenant. Beyond that, `store` and `cache` take measured pools in
//! place of the usual ones, `identity_provider` a measured client, `directory` registers the tenants, `report_job` is a measured job, and
//! `operations` has dependencies and queues looked at. The rest is the product, which looks as it would without.
//!
//! The modules in the order of the data:
//!
//! * `config`: the command line; `monitoring`: how much is measured, and for whom; `startup`: what can keep the service
//!   from starting;
//! * `app`: what the handlers share, and the routes; `serve`: serving them, and stopping;
//! * `auth`: signing in, with the `identity_provider` (asked over HTTP) and `token` (JSON Web Tokens); `directory`: the
//!   listed tenants;
//! * `projects`, `reports`, `activity`: the product, a file for each part; `report_job`: the background job;
//! * `cache`: listings in Redis; `store`: SQLite or PostgreSQL;
//! * `operations`: what operators and orchestrators are told;
//! * `error`: how a request can fail.

mod activity;
mod app;
mod auth;
mod cache;
mod config;
mod directory;
mod error;
mod identity_provider;
mod monitoring;
mod operations;
mod projects;
mod report_job;
mod reports;
mod serve;
mod startup;
mod store;
mod token;

pub use app::{App, router};
pub use config::Config;
pub use monitoring::monitoring;
pub use operations::watch;
pub use serve::serve;
pub use startup::StartError;
