//! Slow statements: counted for their tenant, and told in the log.
//!
//! ```text
//! settings.rs   what is slow, how often the log tells it, whether plans are asked for
//! event.rs      the events
//! explain.rs    asks the database for the plan of a slow SELECT, beside the work
//! plan.rs       what is shown of a plan: an allow-list of its parts
//! ```

mod event;
#[cfg(feature = "postgres")]
mod explain;
#[cfg(feature = "postgres")]
mod plan;
mod settings;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_core::future::BoxFuture;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use monitoring_core::database::{ErrorType, System};
use monitoring_core::{Symbol, Tenant};
use sqlx::SqlStr;

use crate::database::Driver;
use crate::statement::{Shape, Statement, Statements};

#[cfg(feature = "postgres")]
pub(crate) use explain::explain;
pub use settings::{ExplainSlow, SlowQueries};

/// How many events may come at once.
const BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How a database is asked for a plan: within that time, on a connection that nobody waits for.
pub(crate) type Explain<DB> = fn(sqlx::Pool<DB>, SqlStr, Duration) -> BoxFuture<'static, Option<String>>;

/// What is slow on a pool, and where it is told.
pub(crate) struct SlowLog {
    settings: SlowQueries,
    pool: Arc<str>,
    events: Option<DefaultDirectRateLimiter>,
    suppressed: AtomicU64,
    explanations: Option<Explanations>,
}

/// The plans that are asked for.
struct Explanations {
    settings: ExplainSlow,
    candidates: AtomicU64,
    limit: DefaultDirectRateLimiter,
    ask: Box<dyn Fn(SqlStr, Duration) -> BoxFuture<'static, Option<String>> + Send + Sync>,
}

/// A statement that was slow.
pub(crate) struct SlowQuery<'a> {
    pub(crate) statements: &'a Statements,
    pub(crate) system: System,
    pub(crate) statement: Statement,
    /// Known only of a statement that the database has understood.
    pub(crate) shape: Option<&'a Shape>,
    pub(crate) summary: Option<Symbol>,
    pub(crate) tenant: Tenant,
    pub(crate) took: Duration,
    /// Absent if rows were not asked for, or did not all come.
    pub(crate) rows: Option<u64>,
    pub(crate) error: Option<ErrorType>,
    /// The text as it was executed: for the database alone.
    pub(crate) text: Option<SqlStr>,
}

impl SlowQuery<'_> {
    fn summary(&self) -> &str {
        self.shape.map_or(self.statement.operation(), Shape::summary)
    }
}

impl SlowLog {
    pub(crate) fn new<DB: Driver>(settings: SlowQueries, pool: &sqlx::Pool<DB>, name: &str) -> Self {
        let per_minute = |events| RateLimiter::direct(Quota::per_minute(events).allow_burst(BURST.min(events)));
        let explanations = settings.explain.clone().zip(DB::EXPLAIN).and_then(|(explain, ask)| {
            let pool = pool.clone();
            Some(Explanations {
                candidates: AtomicU64::new(0),
                limit: RateLimiter::direct(Quota::with_period(explain.at_most_every)?),
                ask: Box::new(move |text, time_out| ask(pool.clone(), text, time_out)),
                settings: explain,
            })
        });
        Self {
            pool: name.into(),
            events: NonZeroU32::new(settings.events_per_minute).map(per_minute),
            suppressed: AtomicU64::new(0),
            explanations,
            settings,
        }
    }

    /// Whether that is too long for that operation.
    #[inline]
    pub(crate) fn is_slow(&self, operation: &str, took: Duration) -> bool {
        took >= self.settings.least() && took >= self.settings.threshold_for(operation)
    }

    /// The pool's name.
    #[cfg(feature = "postgres")]
    pub(crate) fn pool(&self) -> &str {
        &self.pool
    }

    /// Whether plans are asked for at all.
    pub(crate) fn explains(&self) -> bool {
        self.explanations.is_some()
    }

    /// Counts a slow statement, and tells it unless the log is full of them.
    #[cold]
    pub(crate) fn note(&self, mut query: SlowQuery<'_>) {
        let summary = query.summary.unwrap_or_else(|| query.statements.symbol(query.statement.operation()));
        query.statements.record_slow(query.tenant, query.system, summary);
        let Some(events) = &self.events else { return };
        if events.check().is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        event::slow_query(&query, &self.pool, self.suppressed.swap(0, Ordering::Relaxed));
        if let Some(text) = query.text.take()
            && let Some(explanations) = &self.explanations
        {
            explanations.ask(&query, &self.pool, text);
        }
    }
}

impl Explanations {
    /// Asks for the plan, in a task of its own, if it is the turn of this statement.
    fn ask(&self, query: &SlowQuery<'_>, pool: &Arc<str>, text: SqlStr) {
        // Without a runtime there is nobody to ask for us.
        let Some(runtime) = runtime() else { return };
        // What is not understood is not sent a second time.
        let Some(summary) = query.shape.map(|shape| Box::<str>::from(shape.summary())) else { return };
        let is_sampled = self.candidates.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.settings.one_in.into());
        if !is_sampled || self.limit.check().is_err() {
            return;
        }
        let (plan, pool, system) = ((self.ask)(text, self.settings.time_out), Arc::clone(pool), query.system);
        runtime.spawn(async move {
            if let Some(plan) = plan.await {
                event::plan(system, &summary, &pool, &plan);
            }
        });
    }
}

fn runtime() -> Option<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().ok()
}

impl fmt::Debug for SlowLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SlowLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}
