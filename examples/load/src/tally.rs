//! How a request ended, counted per tenant label.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use reqwest::StatusCode;
use serde::Serialize;

/// The label of requests in which no tenant has proven who it is.
pub(crate) const NO_TENANT: &str = "__none__";
/// The label of requests with a valid token of a tenant that the service does not list.
pub(crate) const UNKNOWN_TENANT: &str = "__unknown__";

/// How one request ended, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    Cancelled,
}

impl From<StatusCode> for Outcome {
    fn from(status: StatusCode) -> Self {
        match status.as_u16() {
            ..400 => Self::Ok,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// The requests of one tenant label.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) ok: u64,
    pub(crate) client_error: u64,
    pub(crate) server_error: u64,
    pub(crate) cancelled: u64,
}

impl Counts {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::ClientError => self.client_error += 1,
            Outcome::ServerError => self.server_error += 1,
            Outcome::Cancelled => self.cancelled += 1,
        }
    }

    fn total(&self) -> u64 {
        self.ok + self.client_error + self.server_error + self.cancelled
    }
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tenants: Mutex<BTreeMap<String, Counts>>,
}

impl Tally {
    pub(crate) fn count(&self, label: &str, outcome: Outcome) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(label.to_owned()).or_default().count(outcome);
    }

    pub(crate) fn summary(&self, seed: u64, seconds: u64) -> Summary {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let requests = tenants.values().map(Counts::total).sum();
        Summary { seed, seconds, requests, tenants }
    }
}

/// What is written to `--summary`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    seed: u64,
    seconds: u64,
    requests: u64,
    tenants: BTreeMap<String, Counts>,
}

impl Summary {
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(file, text)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |part: fn(&Counts) -> u64| self.tenants.values().map(part).sum::<u64>();
        writeln!(f, "{} requests of {} tenant labels", self.requests, self.tenants.len())?;
        write!(
            f,
            "ok {}, client errors {}, server errors {}, cancelled {}",
            sum(|counts| counts.ok),
            sum(|counts| counts.client_error),
            sum(|counts| counts.server_error),
            sum(|counts| counts.cancelled),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_the_outcome() {
        for (status, outcome) in [
            (200, Outcome::Ok),
            (302, Outcome::Ok),
            (399, Outcome::Ok),
            (400, Outcome::ClientError),
            (404, Outcome::ClientError),
            (499, Outcome::ClientError),
            (500, Outcome::ServerError),
            (502, Outcome::ServerError),
            (599, Outcome::ServerError),
        ] {
            assert_eq!(Outcome::from(StatusCode::from_u16(status).unwrap()), outcome, "{status}");
        }
    }

    #[test]
    fn the_summary_has_the_agreed_shape() {
        let tally = Tally::default();
        tally.count("acme-0000", Outcome::Ok);
        tally.count("acme-0000", Outcome::Cancelled);
        tally.count(NO_TENANT, Outcome::ClientError);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        tally.summary(7, 60).write(&file).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "seed": 7, "seconds": 60, "requests": 3,
                "tenants": {
                    "__none__": {"ok": 0, "client_error": 1, "server_error": 0, "cancelled": 0},
                    "acme-0000": {"ok": 1, "client_error": 0, "server_error": 0, "cancelled": 1},
                }
            })
        );
    }
}
