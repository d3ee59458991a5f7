//! What becomes of a transaction, and for how long it was open.

use std::time::Instant;

use monitoring_core::catalogue::SAAS_DB_TRANSACTION_DURATION;
use monitoring_core::database::{ErrorType, System};
use monitoring_core::{Histogram, LabelSet, LabelValue, Registry, RegistryError};
use sqlx::Error;

use crate::database::Driver;
use crate::error_type::error_type;
use crate::record::Recorder;

/// The family that transactions are recorded in.
pub(crate) struct TransactionFamilies {
    duration: Histogram<TransactionLabels>,
}

#[derive(Clone, Copy, LabelSet)]
struct TransactionLabels {
    db_system_name: System,
    outcome: TransactionOutcome,
}

/// How a transaction ended; label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
enum TransactionOutcome {
    Committed,
    RolledBack,
    /// `COMMIT` was sent, and nobody knows what became of it.
    CommitUnknown,
}

impl TransactionFamilies {
    pub(crate) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self { duration: registry.histogram(&SAAS_DB_TRANSACTION_DURATION)? })
    }
}

/// A transaction that is open. Dropped, it is recorded as what would become of it then: rolled back, or unknown once it is
/// [`committing`](Self::committing).
pub(crate) struct OpenTransaction {
    recorder: Recorder,
    system: System,
    start: Instant,
    outcome: TransactionOutcome,
}

impl OpenTransaction {
    /// One that has just begun.
    pub(crate) fn new(recorder: &Recorder, system: System) -> Self {
        Self { recorder: recorder.clone(), system, start: Instant::now(), outcome: TransactionOutcome::RolledBack }
    }

    /// From now on it may be committed, whatever is heard of it.
    pub(crate) fn committing(&mut self) {
        self.outcome = TransactionOutcome::CommitUnknown;
    }

    /// The database has answered, or not.
    pub(crate) fn answered<DB: Driver>(mut self, result: &Result<(), Error>) {
        self.outcome = match result {
            Ok(()) => TransactionOutcome::Committed,
            // What the database refuses to commit, such as a deferred constraint that is violated, it rolls back.
            Err(error) if is_refusal::<DB>(error) => TransactionOutcome::RolledBack,
            Err(_) => TransactionOutcome::CommitUnknown,
        };
    }
}

/// Whether an answer to `COMMIT` says that nothing was committed. One that tells of the server's own end, or of a pooler's
/// that has lost the server, says nothing of the transaction.
fn is_refusal<DB: Driver>(error: &Error) -> bool {
    let Error::Database(answer) = error else { return false };
    match error_type::<DB>(error) {
        ErrorType::ConstraintViolation | ErrorType::ReadOnly => true,
        ErrorType::ConnectionRefused | ErrorType::ConnectionLost | ErrorType::Unavailable | ErrorType::Io => false,
        // By SQLSTATE: completion unknown; errors of the system, and internal ones, of PostgreSQL; those of MySQL that have no
        // class, such as a failure during COMMIT, and those of a statement that was interrupted.
        _ => !answer
            .code()
            .is_some_and(|code| code == "40003" || matches!(code.get(..2), Some("58" | "XX" | "HY" | "70"))),
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Some(families) = self.recorder.transactions() {
            let labels = TransactionLabels { db_system_name: self.system, outcome: self.outcome };
            families.duration.record(labels, self.start.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Answer(&'static str);

    impl fmt::Display for Answer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl std::error::Error for Answer {}

    impl DatabaseError for Answer {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn is_refused_by<DB: Driver>(code: &'static str) -> bool {
        is_refusal::<DB>(&Error::Database(Box::new(Answer(code))))
    }

    #[test]
    fn a_commit_that_the_database_refuses_is_rolled_back() {
        for code in ["23505", "40001", "40P01", "25P02", "57014", "P0001", "22012", "53100"] {
            assert!(is_refused_by::<sqlx::Postgres>(code), "{code}");
        }
        for code in ["40001", "40000", "25006", "23000"] {
            assert!(is_refused_by::<sqlx::MySql>(code), "{code}");
        }
        for code in ["5", "787", "13", "1"] {
            assert!(is_refused_by::<sqlx::Sqlite>(code), "{code}");
        }
    }

    #[test]
    fn a_commit_whose_server_ends_or_is_lost_by_a_pooler_is_unknown() {
        for code in ["08P01", "08006", "08007", "57P01", "57P02", "58030", "58000", "XX000", "40003"] {
            assert!(!is_refused_by::<sqlx::Postgres>(code), "{code}");
        }
        for code in ["HY000", "70100"] {
            assert!(!is_refused_by::<sqlx::MySql>(code), "{code}");
        }
        assert!(!is_refusal::<sqlx::Postgres>(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
    }
}
