//! What is slow.

use std::time::Duration;

/// Operations that are slow by nature: they are slow queries only when a threshold of their own is set.
const SLOW_BY_NATURE: &[&str] =
    &["COPY", "CREATE", "ALTER", "DROP", "VACUUM", "ANALYZE", "REINDEX", "CLUSTER", "REFRESH", "CHECKPOINT"];

/// Which statements are slow, and what is done about them; for [`PoolBuilder::slow_queries`](crate::PoolBuilder::slow_queries).
///
/// A statement that took at least as long as the threshold of its operation is counted in `saas_db_slow_queries_total`, for
/// its tenant, and told by an event of `tracing` (level `WARN`, target `monitoring::slow_query`, name `saas.db.slow_query`).
/// The event has the summary, the text with `?` for every literal and argument, the duration, the rows, the tenant and the
/// pool. A statement that the database never understood is told by its operation alone.
///
/// ```
/// use std::time::Duration;
/// use monitoring_sqlx::{ExplainSlow, SlowQueries};
///
/// let slow = SlowQueries::default() // 1 s, 60 events a minute
///     .threshold(Duration::from_millis(500))
///     .threshold_of("SELECT", Duration::from_millis(200))
///     .threshold_of("REFRESH", Duration::from_secs(600))
///     .explain(ExplainSlow::default());
/// # let _ = slow;
/// ```
///
/// The duration of a stream is that from its first poll to its last row, so one whose rows are taken slowly is slow too.
#[derive(Clone, Debug)]
pub struct SlowQueries {
    threshold: Duration,
    of_operations: Vec<(&'static str, Duration)>,
    pub(super) events_per_minute: u32,
    pub(super) explain: Option<ExplainSlow>,
}

impl Default for SlowQueries {
    /// 1 second for everything but `COPY`, definitions (`CREATE`, `ALTER`, `DROP`) and maintenance (`VACUUM`, …), which are
    /// never slow queries; 60 events a minute; no plans.
    fn default() -> Self {
        let of_operations = SLOW_BY_NATURE.iter().map(|operation| (*operation, Duration::MAX)).collect();
        Self { threshold: Duration::from_secs(1), of_operations, events_per_minute: 60, explain: None }
    }
}

impl SlowQueries {
    /// No statement is a slow one.
    #[must_use]
    pub fn off() -> Self {
        Self { threshold: Duration::MAX, ..Self::default() }
    }

    /// From which duration on a statement is slow, if its operation has no threshold of its own.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = threshold;
        self
    }

    /// From which duration on a statement of that operation is slow; [`Duration::MAX`] for never. The operation is named as in
    /// the label `db_operation_name`, such as `SELECT` or `COMMIT`, in any case of letters.
    #[must_use]
    pub fn threshold_of(mut self, operation: &'static str, threshold: Duration) -> Self {
        self.of_operations.retain(|(known, _)| !known.eq_ignore_ascii_case(operation));
        self.of_operations.push((operation, threshold));
        self
    }

    /// How many events there may be in a minute, ten of them at once; what is left out is counted in the field `suppressed` of
    /// the next one. With 0 there are none, and slow statements are counted only. The events of a pool are limited together.
    #[must_use]
    pub fn events_per_minute(mut self, events: u32) -> Self {
        self.events_per_minute = events;
        self
    }

    /// Asks PostgreSQL for the plan of a slow `SELECT` without arguments.
    #[must_use]
    pub fn explain(mut self, explain: ExplainSlow) -> Self {
        self.explain = Some(explain);
        self
    }

    /// The least of all thresholds, so that most statements are told to be fast by one comparison.
    pub(super) fn least(&self) -> Duration {
        self.of_operations.iter().fold(self.threshold, |least, (_, threshold)| least.min(*threshold))
    }

    pub(super) fn threshold_for(&self, operation: &str) -> Duration {
        let own = self.of_operations.iter().find(|(known, _)| known.eq_ignore_ascii_case(operation));
        own.map_or(self.threshold, |(_, threshold)| *threshold)
    }
}

/// How plans of slow statements are asked for: `EXPLAIN (FORMAT JSON)`, which plans the statement and does not run it.
///
/// Only PostgreSQL is asked, and only about a single `SELECT` without arguments that writes and locks nothing and was told
/// by an event. That is done after the fact, in a task of its own, on a connection of the pool that is idle then; if none is,
/// there is no plan. It is nobody's work: it is in no metric of statements and of no tenant. The plan comes as an event of
/// its own (level `WARN`, target `monitoring::slow_query`, name `saas.db.slow_query.plan`): kinds of nodes, tables, indices,
/// estimated costs and rows. Conditions are left out, since they hold literals.
///
/// The statement is planned as the connection's role sees it: settings that the request had made on its own connection, as
/// for row level security, are not there.
#[derive(Clone, Debug)]
pub struct ExplainSlow {
    pub(super) one_in: u32,
    pub(super) at_most_every: Duration,
    pub(super) time_out: Duration,
}

impl Default for ExplainSlow {
    /// Every slow `SELECT`, but at most one a minute, and for at most a second.
    fn default() -> Self {
        Self { one_in: 1, at_most_every: Duration::from_secs(60), time_out: Duration::from_secs(1) }
    }
}

impl ExplainSlow {
    /// Asks about one in so many slow statements; 0 counts as 1.
    #[must_use]
    pub fn one_in(mut self, statements: u32) -> Self {
        self.one_in = statements.max(1);
        self
    }

    /// Asks no more often than that.
    #[must_use]
    pub fn at_most_every(mut self, period: Duration) -> Self {
        self.at_most_every = period.max(Duration::from_millis(1));
        self
    }

    /// Gives up after that time, and closes the connection that it asked on.
    #[must_use]
    pub fn time_out(mut self, time_out: Duration) -> Self {
        self.time_out = time_out;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_threshold_or_that_of_all() {
        let slow =
            SlowQueries::default().threshold(Duration::from_secs(2)).threshold_of("select", Duration::from_secs(3));
        let slow = slow.threshold_of("copy", Duration::from_secs(5));
        assert_eq!(slow.threshold_for("SELECT"), Duration::from_secs(3));
        assert_eq!(slow.threshold_for("INSERT"), Duration::from_secs(2));
        assert_eq!(slow.threshold_for("COPY"), Duration::from_secs(5));
        assert_eq!(slow.threshold_for("VACUUM"), Duration::MAX);
        assert_eq!(slow.least(), Duration::from_secs(2));
        assert_eq!(slow.threshold_of("SELECT", Duration::ZERO).least(), Duration::ZERO);
        assert_eq!(SlowQueries::off().least(), Duration::MAX);
    }
}
