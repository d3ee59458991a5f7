//! Why a demo ended without success.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use monitoring_tests::{exposition::ExpositionError, servers::ServerError};
use thiserror::Error;

use super::promql::ReadError;
use crate::{packages::PackagesError, workspace::CargoError};

/// Why a demo ended without success.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Packages(#[from] PackagesError),

    #[error(transparent)]
    Cargo(#[from] CargoError),

    #[error(transparent)]
    Server(#[from] ServerError),

    #[error(transparent)]
    Read(#[from] ReadError),

    #[error("another demo is running in {}: end it first", path.display())]
    Busy { path: PathBuf },

    #[error(
        "cannot empty {0}, or lock {0}.lock; was the demo run as root before? Then remove both as root",
        path.display()
    )]
    Folder { path: PathBuf, source: io::Error },

    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },

    #[error("the service ended with {status} while it was under load:\n{tail}\nits log is {}", log.display())]
    ServiceDied { status: ExitStatus, tail: String, log: PathBuf },

    #[error("the load generator ended with {status}:\n{tail}\nits log is {}", log.display())]
    LoadFailed { status: ExitStatus, tail: String, log: PathBuf },

    #[error("the load generator has not ended within {} s; its log is {}", waited.as_secs(), log.display())]
    LoadStuck { waited: Duration, log: PathBuf },

    #[error("the load generator's counts in {} cannot be read", path.display())]
    LoadSummary { path: PathBuf, source: io::Error },

    #[error("the service could not be scraped")]
    Scrape(#[source] reqwest::Error),

    #[error("asked for {asked}, the service answered with {found:?}")]
    Format { asked: &'static str, found: String },

    #[error("the service does not show a tenant its metrics")]
    View(#[source] reqwest::Error),

    #[error("the service has let nobody in, {attempts} times: its identity provider fails")]
    SignIn { attempts: usize },

    #[error("{tenant} was shown {series} series, {strangers} of which are not its own: see `tenant_metrics` in app.rs")]
    Strangers { tenant: String, series: usize, strangers: usize },

    #[error("a scrape is not in the text format of Prometheus")]
    Exposition(#[from] ExpositionError),

    #[error("`promtool check metrics` complains about the last scrape:\n    {}", findings.join("\n    "))]
    Promtool { findings: Vec<String> },

    #[error("Prometheus and the load generator differ in {differences} counts; they are listed above")]
    Different { differences: usize },

    #[error("Prometheus has no time spent in {system}, although the service uses it for every tenant")]
    NotMeasured { system: &'static str },

    #[error("Prometheus has no {what}, although the load takes some")]
    NothingMeasured { what: &'static str },

    #[error("asked to end, the service ended with {status}; its log is {}", log.display())]
    ServiceFailed { status: ExitStatus, log: PathBuf },

    #[error("asked to end, the service was still running after {} s; its log is {}", waited.as_secs(), log.display())]
    ServiceStuck { waited: Duration, log: PathBuf },

    #[error("part of the demo panicked")]
    Panicked(#[from] tokio::task::JoinError),

    #[error("the asynchronous runtime cannot be started")]
    Runtime(#[source] io::Error),

    #[error("signals cannot be received")]
    Signals(#[source] io::Error),

    #[error("interrupted")]
    Interrupted,
}
