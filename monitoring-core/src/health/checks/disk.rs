//! Whether there is space left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::health::check::{Checking, HealthCheck, Passed};
use crate::health::problem::{Problem, Reason};

/// Looks how much of a file system is free for the process. The check is degraded below a tenth, and fails below a
/// hundredth, unless set otherwise.
///
/// A file system that does not answer, such as a network share without its server, is a failure by time-out; no second
/// thread is spent on it while the first one hangs.
#[derive(Clone, Debug)]
pub struct DiskSpace {
    path: PathBuf,
    degraded_below: f64,
    failed_below: f64,
    /// The place of the one thread that may ask the system.
    thread: Arc<Semaphore>,
}

impl DiskSpace {
    /// Of the file system that holds this path.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let thread = Arc::new(Semaphore::new(1));
        Self { path: path.as_ref().to_owned(), degraded_below: 0.1, failed_below: 0.01, thread }
    }

    /// The share of it, from 0 to 1, below which the check is degraded. Default 0.1.
    #[must_use]
    pub fn degraded_below(mut self, share: f64) -> Self {
        self.degraded_below = share;
        self
    }

    /// The share of it, from 0 to 1, below which the check fails. Default 0.01.
    #[must_use]
    pub fn failed_below(mut self, share: f64) -> Self {
        self.failed_below = share;
        self
    }
}

impl HealthCheck for DiskSpace {
    fn check(&self, _time_out: Duration) -> Checking<'_> {
        Box::pin(async {
            // Should the system not answer, the thread outlives this future, and the next check waits for its place.
            let Ok(place) = Arc::clone(&self.thread).acquire_owned().await else { return Err(Reason::Failed.into()) };
            let path = self.path.clone();
            let asked = tokio::task::spawn_blocking(move || {
                let _place = place;
                free_share(&path)
            });
            let free = asked.await??;
            let problem = || Reason::LowSpace.because(format!("{:.1} % free", free * 100.0));
            match free {
                _ if free < self.failed_below => Err(problem()),
                _ if free < self.degraded_below => Ok(Passed::Degraded(problem())),
                _ => Ok(Passed::Well),
            }
        })
    }
}

fn free_share(path: &Path) -> Result<f64, Problem> {
    let space = rustix::fs::statvfs(path).map_err(std::io::Error::from)?;
    // A file system without blocks, such as /proc, cannot be full.
    Ok(if space.f_blocks == 0 { 1.0 } else { space.f_bavail as f64 / space.f_blocks as f64 })
}
