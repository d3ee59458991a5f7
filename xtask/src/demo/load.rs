//! A round of the load generator, and the counts that it has kept.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use monitoring_tests::servers::Launch;
use serde::Deserialize;

use super::{DemoError, counts::CountsByTenant};

/// How much longer than told a round may take: the requests in flight are played to their end.
const OVERTIME: Duration = Duration::from_secs(60);

/// One run of the load generator.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) target: String,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
}

impl Round {
    /// Plays the round to its end and returns what the load generator has counted, on its side of the wire.
    pub(crate) async fn play(&self, program: &Path, folder: &Path) -> Result<CountsByTenant, DemoError> {
        fs::create_dir_all(folder).map_err(|source| DemoError::Write { path: folder.to_owned(), source })?;
        let summary = folder.join("summary.json");
        let arguments = vec![
            "--target".to_owned(),
            self.target.clone(),
            "--seconds".to_owned(),
            self.seconds.to_string(),
            "--seed".to_owned(),
            self.seed.to_string(),
            "--summary".to_owned(),
            summary.display().to_string(),
        ];
        let mut process = Launch::new(program.to_owned(), arguments).start(&folder.join("load.log"))?;
        let limit = Duration::from_secs(self.seconds) + OVERTIME;
        let log = process.log().to_owned();
        let ended = async {
            loop {
                if let Some(status) = process.exit_status() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(limit, ended).await {
            Ok(status) if status.success() => read(&summary),
            Ok(status) => Err(DemoError::LoadFailed { status, tail: process.log_tail(), log }),
            Err(_) => Err(DemoError::LoadStuck { waited: limit, log }),
        }
    }
}

/// What of the load generator's summary is compared.
#[derive(Deserialize)]
struct Summary {
    tenants: CountsByTenant,
}

fn read(file: &Path) -> Result<CountsByTenant, DemoError> {
    let unreadable = |source: std::io::Error| DemoError::LoadSummary { path: PathBuf::from(file), source };
    let text = fs::read(file).map_err(unreadable)?;
    let summary: Summary = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
    Ok(summary.tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read_from_the_load_generators_summary() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        let text = r#"{"seed": 1, "seconds": 60, "requests": 3, "tenants": {
            "__none__": {"ok": 0, "client_error": 1, "server_error": 0, "cancelled": 0},
            "acme-0000": {"ok": 1, "client_error": 0, "server_error": 0, "cancelled": 1}
        }}"#;
        fs::write(&file, text).unwrap();
        let counts = read(&file).unwrap();
        assert_eq!(counts["__none__"].by_outcome()[1], ("client_error", 1));
        assert_eq!(counts["acme-0000"].total(), 2);
    }

    #[test]
    fn a_summary_that_lacks_an_outcome_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        fs::write(&file, r#"{"tenants": {"acme": {"ok": 1}}}"#).unwrap();
        assert!(matches!(read(&file), Err(DemoError::LoadSummary { .. })));
    }
}
