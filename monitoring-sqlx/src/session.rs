//! What is known of one connection, beside what its driver knows.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Error;

use crate::database::Driver;
use crate::record::Recorder;

/// Where the operations on a connection are recorded, and whether the last of them was refused.
pub(crate) struct Session {
    recorder: Recorder,
    /// How many transactions and savepoints there were around each other when the operation that runs began.
    depth: usize,
    /// How many there were when the last statement was refused; 0 when it was not.
    refused_at: AtomicUsize,
}

impl Session {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { recorder, depth: 0, refused_at: AtomicUsize::new(0) }
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// An operation is about to begin.
    pub(crate) fn at_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    /// The operation was answered, or has failed with that error.
    pub(crate) fn answered<DB: Driver>(&self, error: Option<&Error>) {
        if DB::REFUSAL_ABORTS {
            let was_refused = matches!(error, Some(Error::Database(_)));
            self.refused_at.store(if was_refused { self.depth } else { 0 }, Ordering::Relaxed);
        }
    }

    /// Whether the transaction at that depth can no longer be committed. The driver does not say. But nothing can be done in
    /// such a one: what the database has done since shows that it was undone as far as a savepoint; and so does a depth that is
    /// less than it was.
    pub(crate) fn is_aborted(&self, depth: usize) -> bool {
        let refused_at = self.refused_at.load(Ordering::Relaxed);
        refused_at > 0 && depth >= refused_at
    }
}
