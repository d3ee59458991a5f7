//! The thread that exports, and how it is stopped.
//!
//! It sleeps between exports without a runtime. Each export has a runtime of its own, so that nothing of it is left
//! behind, and runs with a `tracing` subscriber that records nothing, so that nobody traces the tracing; the two lines of log per outage are
//! written outside of it. That subscriber is the application's: if it panics, the push goes on, and the end of the push does
//! not wait for it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;
use tracing::dispatcher::{self, Dispatch};

use super::account::{Account, OtlpStatus};
use super::config::OtlpConfig;
use super::export::{Export, Report, Tries};
use super::quiet::Quiet;
use super::transport::Fault;
use crate::error::InstallError;
use crate::store::Registry;

/// The shortest and the longest pause before another try, of which jitter makes up to twice as much.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// The longest that a collector can ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(60);

/// Pauses that become longer, with jitter.
pub(super) fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_jitter().without_max_times();
    builder.with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).build()
}

/// What the thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing.
    Never,
    /// To export once more, and to end by then.
    By(Instant),
    /// To end: nobody is interested any more.
    Now,
}

/// The push of one monitoring. Dropping it ends the thread soon, without another export, and waits for nothing.
pub(crate) struct Exporter {
    stop: watch::Sender<Stop>,
    /// How the last export went, once the thread has ended.
    end: watch::Receiver<Option<End>>,
    thread: Thread,
    /// The process that the thread is in: one that was forked from it has none.
    process: u32,
    account: Arc<Account>,
}

/// How the last export went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    CutShort,
}

impl Exporter {
    /// Starts the thread. Nothing is connected to before the first export.
    pub(crate) fn start(registry: &Registry, service_name: &str, config: &OtlpConfig) -> Result<Self, InstallError> {
        let account = Arc::new(Account::new(registry)?);
        let (stop, stopped) = watch::channel(Stop::Never);
        let (ended, end) = watch::channel(None);
        let export = Export::new(registry.clone(), service_name, config, Arc::clone(&account), stopped.clone())?;
        let worker = Worker {
            export,
            stop: stopped,
            interval: config.interval,
            ended,
            quiet: None,
            outage: None,
            refusal: None,
            collector_is_away: false,
            pauses: pauses(),
        };
        let thread = std::thread::Builder::new()
            .name("monitoring-otlp".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| InstallError::Thread { reason: error.to_string() })?;
        Ok(Self { stop, end, thread: thread.thread().clone(), process: std::process::id(), account })
    }

    /// What became of all points so far.
    pub(crate) fn status(&self) -> OtlpStatus {
        self.account.status()
    }

    /// Exports once more, and ends the thread by then; `false` if the time did not suffice, or at once in a process that was
    /// forked from that of the thread. Needs no runtime.
    pub(crate) async fn shutdown(&self, by: Instant) -> bool {
        if self.is_forked() {
            return false;
        }
        self.tell(|stop| match stop {
            Stop::Never => Stop::By(by),
            Stop::By(earlier) => Stop::By(by.min(earlier)),
            Stop::Now => Stop::Now,
        });
        let mut end = self.end.clone();
        end.wait_for(Option::is_some).await.is_ok_and(|end| *end == Some(End::Complete))
    }

    fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    fn tell(&self, change: impl FnOnce(Stop) -> Stop) {
        self.stop.send_modify(|stop| *stop = change(*stop));
        self.thread.unpark();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // What the thread held at the moment of the fork would be locked for ever.
        if !self.is_forked() {
            self.tell(|_| Stop::Now);
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exporter").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What the thread has.
struct Worker {
    export: Export,
    stop: watch::Receiver<Stop>,
    interval: Duration,
    ended: watch::Sender<Option<End>>,
    quiet: Option<Dispatch>,
    /// The points lost since exports began to end before their time.
    outage: Option<u64>,
    /// The points lost since single requests or points began to be refused.
    refusal: Option<u64>,
    /// Whether the last export was given up.
    collector_is_away: bool,
    /// Between exports that fail.
    pauses: ExponentialBackoff,
}

impl Worker {
    fn run(mut self) {
        let mut next = Instant::now() + self.interval;
        loop {
            let stop = self.wait(next);
            if stop == Stop::Now {
                self.ended.send_replace(Some(End::CutShort));
                return;
            }
            // A process does not wait at its end for a collector that was not there before.
            let tries = if stop != Stop::Never && self.collector_is_away { Tries::One } else { Tries::Many };
            let report = self.export(tries);
            if stop != Stop::Never {
                let end = if report.was_cut_short { End::CutShort } else { End::Complete };
                // Before it is told: the subscriber may take its time.
                self.ended.send_replace(Some(end));
                self.tell(&report);
                return;
            }
            self.tell(&report);
            self.collector_is_away = report.collector_is_away;
            next = self.next(next, &report);
        }
    }

    fn export(&mut self, tries: Tries) -> Report {
        // The subscriber may come after the push.
        if self.quiet.is_none() {
            self.quiet = catch_unwind(Quiet::of_the_process).unwrap_or_default();
        }
        let quiet = self.quiet.clone().unwrap_or_else(Dispatch::none);
        dispatcher::with_default(&quiet, || self.export.run(tries))
    }

    /// Waits until `next`, or until the thread is told to stop.
    fn wait(&self, next: Instant) -> Stop {
        loop {
            let stop = *self.stop.borrow();
            let left = next.saturating_duration_since(Instant::now());
            if stop != Stop::Never || left.is_zero() {
                return stop;
            }
            std::thread::park_timeout(left);
        }
    }

    /// When the next export is due: at the next tick that is not over; sooner while the collector is away.
    fn next(&mut self, last: Instant, report: &Report) -> Instant {
        let now = Instant::now();
        let mut next = last + self.interval;
        if next <= now {
            next = now + self.interval;
        }
        if !report.collector_is_away {
            self.pauses = pauses();
            return next;
        }
        let pause = self.pauses.next().unwrap_or(PAUSES.1);
        let wish = report.wish.unwrap_or_default().min(LONGEST_WISH).min(self.interval);
        next.min(now + pause).max(now + wish)
    }

    /// Logs where a loss begins, and where it ends: once for the whole push, and once for what is lost on the way of the
    /// rest. Only what has arrived is the end of either.
    fn tell(&mut self, report: &Report) {
        let is_complete = report.has_arrived && report.outage.is_none();
        let lost = report.outage.as_ref().map(|_| report.lost);
        let outage = follow(&mut self.outage, lost, is_complete);
        let refused = report.refusal.as_ref().map(|_| report.refused);
        let refusal = follow(&mut self.refusal, refused, is_complete);
        // Its panic is not ours; the state is kept already, so that the line is not written again.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let text = |fault: &Option<Fault>| fault.as_ref().map(|fault| fault.text.clone()).unwrap_or_default();
            match outage {
                Some(Turn::Begins(points)) => tracing::warn!(
                    reason = ?text(&report.outage), points,
                    "metrics are not reaching the OTLP collector; they go on being counted and tried"
                ),
                Some(Turn::Ends(points)) => tracing::info!(points, "metrics are reaching the OTLP collector again"),
                None => {}
            }
            match refusal {
                Some(Turn::Begins(points)) => tracing::warn!(
                    reason = ?text(&report.refusal), points,
                    "the OTLP collector does not take some of the metrics; they go on being counted and tried"
                ),
                Some(Turn::Ends(points)) => tracing::info!(points, "the OTLP collector takes all metrics again"),
                None => {}
            }
        }));
    }
}

/// A line of the log, with the points that were lost until then.
#[derive(Debug, PartialEq)]
enum Turn {
    Begins(u64),
    Ends(u64),
}

/// Follows what one export has lost for a reason, if it has.
fn follow(state: &mut Option<u64>, lost: Option<u64>, is_complete: bool) -> Option<Turn> {
    match (state.as_mut(), lost) {
        (None, Some(lost)) => Some(Turn::Begins(*state.insert(lost))),
        (Some(sum), Some(lost)) => {
            *sum += lost;
            None
        }
        (Some(_), None) if is_complete => state.take().map(Turn::Ends),
        (Some(_) | None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_where_it_begins_and_only_what_arrives_ends_it() {
        let mut state = None;
        let steps = [
            (None, true, None),
            (Some(2), false, Some(Turn::Begins(2))),
            (Some(3), true, None),
            // An export without a request, or one that another reason has ended.
            (None, false, None),
            (None, true, Some(Turn::Ends(5))),
            (None, true, None),
        ];
        for (place, (lost, is_complete, expected)) in steps.into_iter().enumerate() {
            assert_eq!(follow(&mut state, lost, is_complete), expected, "step {place}");
        }
    }
}
