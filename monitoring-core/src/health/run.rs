//! How a dependency is checked again and again.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::check::{HealthCheck, Passed};
use super::problem::{Problem, Reason};
use super::record::{DependencyLabels, HealthInstruments};
use super::state::{Settings, State, Status};
use crate::Instruments;

/// A dependency with its check.
pub(super) struct Watched {
    name: Arc<str>,
    check: Arc<dyn HealthCheck>,
    settings: Settings,
    state: Mutex<State>,
    instruments: Instruments<HealthInstruments>,
    labels: DependencyLabels,
}

type Run = AbortOnDropHandle<Result<Passed, Problem>>;

impl Watched {
    pub(super) fn new(
        name: Arc<str>,
        check: Arc<dyn HealthCheck>,
        settings: Settings,
        instruments: Instruments<HealthInstruments>,
        labels: DependencyLabels,
    ) -> Self {
        Self { name, check, settings, state: Mutex::default(), instruments, labels }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks it until `end`.
    pub(super) async fn run(self: Arc<Self>, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            let check_and_pause = async {
                self.check_once().await;
                sleep(self.settings.every).await;
            };
            tokio::select! {
                biased;
                () = &mut end => return,
                () = check_and_pause => {}
            }
        }
    }

    /// Runs the check on a task of its own: there it may panic, or hold its thread, without holding this one. Returns when
    /// that task has ended, so that there are never two of them.
    async fn check_once(&self) {
        let (check, time_out) = (Arc::clone(&self.check), self.settings.time_out);
        let start = Instant::now();
        let mut run: Run = AbortOnDropHandle::new(tokio::spawn(async move { check.check(time_out).await }));
        match timeout(time_out, &mut run).await {
            Ok(Ok(result)) => self.ended(result, start.elapsed()),
            Ok(Err(error)) => self.ended(Err(of_task(&error)), start.elapsed()),
            Err(_elapsed) => {
                run.abort();
                self.ended(Err(Reason::Timeout.into()), start.elapsed());
                self.wait_for_end(&mut run, start).await;
            }
        }
    }

    /// A check that holds its thread cannot be aborted. As long as it hangs it goes on failing, and no other one begins. It
    /// is recorded already, as the one check that it is.
    async fn wait_for_end(&self, run: &mut Run, start: Instant) {
        while timeout(self.settings.every, &mut *run).await.is_err() {
            self.note(Err(Reason::Timeout.because("a check hangs that cannot be aborted")), start.elapsed());
        }
    }

    fn ended(&self, result: Result<Passed, Problem>, duration: Duration) {
        if let Some(instruments) = self.instruments.get() {
            match &result {
                Ok(_) => instruments.passed(self.labels, duration),
                Err(_) => instruments.failed(self.labels, duration),
            }
        }
        self.note(result, duration);
    }

    /// Keeps what is known now, and tells the log what has changed.
    fn note(&self, result: Result<Passed, Problem>, duration: Duration) {
        let problem = result.as_ref().err().cloned();
        let (now, before) = self.state().ended(result, duration, &self.settings);
        let name = self.name();
        match problem {
            Some(problem) if now == Status::Down && before != Status::Down => {
                tracing::warn!(dependency = name, critical = self.settings.is_critical, %problem, "a dependency is down");
            }
            None if before == Status::Down => tracing::info!(dependency = name, "a dependency is up again"),
            _ => {}
        }
    }
}

fn of_task(error: &JoinError) -> Problem {
    if error.is_panic() { Reason::Panicked.into() } else { Reason::Failed.because("the runtime is shut down") }
}
