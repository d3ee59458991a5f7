//! How far one reader of a render is.

use std::mem;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::limits::ScrapeLimits;

/// How far a reader is.
#[derive(Debug)]
pub(super) struct Place {
    /// The number of the chunk to read next.
    pub(super) next: u64,
    /// Since when it has taken nothing.
    since: Instant,
    /// When it is cut off in any case.
    end: Instant,
    activity: Activity,
    /// How long others have waited for it, and since when they do so now.
    held_up: Duration,
    holds_up_since: Option<Instant>,
    connection: Option<Connection>,
}

/// What a reader does.
#[derive(Debug)]
enum Activity {
    /// What it likes.
    Reads,
    /// It makes a chunk.
    Makes,
    Waits(WaitsFor, Waker),
}

/// What a reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The chunk that another reader is making.
    Turn,
    /// Readers that are not as far.
    Room,
}

impl Place {
    pub(super) fn new(now: Instant, limits: &ScrapeLimits, connection: Option<Connection>) -> Self {
        Self {
            next: 0,
            since: now,
            end: now + limits.scrape_deadline,
            activity: Activity::Reads,
            held_up: Duration::ZERO,
            holds_up_since: None,
            connection,
        }
    }

    /// It has been given a chunk.
    pub(super) fn take(&mut self, now: Instant) {
        self.next += 1;
        self.since = now;
    }

    /// It is making a chunk: how long that takes is no fault of its own.
    pub(super) fn make(&mut self) {
        self.activity = Activity::Makes;
    }

    pub(super) fn wait(&mut self, waits_for: WaitsFor, waker: &Waker) {
        self.activity = Activity::Waits(waits_for, waker.clone());
    }

    /// It has made the chunk.
    pub(super) fn made(&mut self, now: Instant) {
        if matches!(self.activity, Activity::Makes) {
            self.activity = Activity::Reads;
            self.since = now;
        }
    }

    /// Ends its waiting, which is no fault of its own; whom to wake.
    pub(super) fn resume(&mut self, now: Instant) -> Option<Waker> {
        match mem::replace(&mut self.activity, Activity::Reads) {
            Activity::Waits(_, waker) => {
                self.since = now;
                Some(waker)
            }
            other => {
                self.activity = other;
                None
            }
        }
    }

    pub(super) fn waits_for(&self, what: WaitsFor) -> bool {
        matches!(&self.activity, Activity::Waits(waits_for, _) if *waits_for == what)
    }

    fn reads(&self) -> bool {
        matches!(self.activity, Activity::Reads)
    }

    /// From now on others wait for it, or no longer: if they do, and it could read.
    pub(super) fn hold_up(&mut self, is_waited_for: bool, now: Instant) {
        if let Some(since) = self.holds_up_since.take() {
            self.held_up += now.saturating_duration_since(since);
        }
        self.holds_up_since = (is_waited_for && self.reads()).then_some(now);
    }

    /// When it is cut off, if nothing happens until then.
    pub(super) fn due(&self, limits: &ScrapeLimits) -> Instant {
        if self.reads() { self.end.min(self.since + limits.write_deadline) } else { self.end }
    }

    /// When others have waited for it too long; `None` if nobody does.
    pub(super) fn due_to_others(&self, limits: &ScrapeLimits) -> Option<Instant> {
        Some(self.holds_up_since? + limits.patience().saturating_sub(self.held_up))
    }

    /// Whether it has taken nothing for so long, though it could.
    pub(super) fn is_idle(&self, now: Instant, time: Duration) -> bool {
        self.reads() && now >= self.since + time
    }

    /// Its reader is cut off: ends the connection; whom to wake, so that the body tells.
    pub(super) fn cut_off(self) -> Option<Waker> {
        if let Some(connection) = self.connection {
            connection.end();
        }
        match self.activity {
            Activity::Waits(_, waker) => Some(waker),
            Activity::Reads | Activity::Makes => None,
        }
    }
}
