//! One connection pool, as seen by those who take connections from it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::catalogue::{
    DB_CLIENT_CONNECTION_COUNT, DB_CLIENT_CONNECTION_MAX, DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_TIMEOUTS, DB_CLIENT_CONNECTION_USE_TIME, DB_CLIENT_CONNECTION_WAIT_TIME,
};
use crate::{
    Collect, Counter, Histogram, Instruments, LabelSet, LabelValue, Registry, RegistryError, Symbol, UpDownCounter,
    UpDownEntry,
};

use super::{DatabaseInstruments, ErrorType};

/// Whether a connection is at work; label `db_client_connection_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
enum ConnectionState {
    Idle,
    Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
struct ConnectionLabels {
    db_client_connection_state: ConnectionState,
    db_client_connection_pool_name: Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
struct PoolLabels {
    db_client_connection_pool_name: Symbol,
}

/// The families that pools are recorded in.
#[derive(Debug)]
pub(super) struct PoolFamilies {
    count: UpDownCounter<ConnectionLabels>,
    max: UpDownCounter<PoolLabels>,
    pending_requests: UpDownCounter<PoolLabels>,
    timeouts: Counter<PoolLabels>,
    wait_time: Histogram<PoolLabels>,
    use_time: Histogram<PoolLabels>,
}

impl PoolFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            count: registry.up_down_counter(&DB_CLIENT_CONNECTION_COUNT)?,
            max: registry.up_down_counter(&DB_CLIENT_CONNECTION_MAX)?,
            pending_requests: registry.up_down_counter(&DB_CLIENT_CONNECTION_PENDING_REQUESTS)?,
            timeouts: registry.counter(&DB_CLIENT_CONNECTION_TIMEOUTS)?,
            wait_time: registry.histogram(&DB_CLIENT_CONNECTION_WAIT_TIME)?,
            use_time: registry.histogram(&DB_CLIENT_CONNECTION_USE_TIME)?,
        })
    }
}

/// The connections of a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Open connections that wait for work.
    pub idle: u64,
    /// Open connections that somebody holds.
    pub used: u64,
    /// How many connections the pool may open.
    pub max: u64,
}

/// Watches one pool: its state at each scrape, and each request for a connection. A clone is another handle to the same watch.
///
/// The registry holds it weakly. When the last clone is gone, the pool's connections are taken out of the counts again.
#[derive(Clone)]
pub struct PoolMonitor {
    watch: Arc<Watch>,
}

struct Watch {
    instruments: Instruments<DatabaseInstruments>,
    name: Box<str>,
    /// The pool's name in the labels; set once the pool is known to the registry.
    labels: OnceLock<PoolLabels>,
    state: Box<dyn Fn() -> PoolState + Send + Sync>,
    /// What this pool has added to the families.
    reported: Reported,
}

#[derive(Default)]
struct Reported {
    idle: AtomicI64,
    used: AtomicI64,
    max: AtomicI64,
}

impl PoolMonitor {
    /// Watches a pool by the name that becomes the label `db_client_connection_pool_name`.
    ///
    /// `state` is called for each scrape, on the thread that renders, so it must not block. It may hold a clone of the pool.
    /// If monitoring is not installed yet, the watch begins with the first [`acquire`](Self::acquire) after it is.
    pub fn new(
        instruments: Instruments<DatabaseInstruments>,
        name: &str,
        state: impl Fn() -> PoolState + Send + Sync + 'static,
    ) -> Self {
        let monitor = Self {
            watch: Arc::new(Watch {
                instruments,
                name: name.into(),
                labels: OnceLock::new(),
                state: Box::new(state),
                reported: Reported::default(),
            }),
        };
        monitor.attach();
        monitor
    }

    /// The name of the pool.
    pub fn name(&self) -> &str {
        &self.watch.name
    }

    /// Where the pool is recorded, and what is done on its connections.
    pub fn instruments(&self) -> &Instruments<DatabaseInstruments> {
        &self.watch.instruments
    }

    /// Somebody asks for a connection.
    ///
    /// Counts as pending until the [`Acquire`] is resolved or dropped. Costs two relaxed atomic additions and a reading of
    /// the clock, no allocation.
    pub fn acquire(&self) -> Acquire<'_> {
        let waiting = self.attach().map(|(instruments, labels)| Waiting {
            shared: &self.watch.instruments,
            instruments,
            labels,
            pending: Some(instruments.pools.pending_requests.enter(labels)),
            start: Instant::now(),
        });
        Acquire { waiting }
    }

    /// Makes the pool known to the registry, once monitoring is installed.
    fn attach(&self) -> Option<(&DatabaseInstruments, PoolLabels)> {
        let instruments = self.watch.instruments.get()?;
        let labels = self.watch.labels.get_or_init(|| {
            let db_client_connection_pool_name = instruments.registry.symbol(&self.watch.name);
            let watch = Arc::downgrade(&self.watch);
            instruments.registry.on_collect(move || match watch.upgrade() {
                Some(watch) => {
                    watch.report((watch.state)());
                    Collect::Keep
                }
                None => Collect::Remove,
            });
            PoolLabels { db_client_connection_pool_name }
        });
        Some((instruments, *labels))
    }
}

impl fmt::Debug for PoolMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMonitor").field("name", &self.watch.name).finish_non_exhaustive()
    }
}

impl Watch {
    /// Adds what has changed since the last report, so that pools of one name add up and two scrapes at once do no harm.
    fn report(&self, PoolState { idle, used, max }: PoolState) {
        let (Some(instruments), Some(labels)) = (self.instruments.get(), self.labels.get()) else { return };
        let PoolLabels { db_client_connection_pool_name } = *labels;
        let count = |db_client_connection_state, reported: &AtomicI64, now| {
            let labels = ConnectionLabels { db_client_connection_state, db_client_connection_pool_name };
            instruments.pools.count.add(labels, change(reported, now));
        };
        count(ConnectionState::Idle, &self.reported.idle, idle);
        count(ConnectionState::Used, &self.reported.used, used);
        instruments.pools.max.add(*labels, change(&self.reported.max, max));
    }
}

fn change(reported: &AtomicI64, now: u64) -> i64 {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    now.saturating_sub(reported.swap(now, Ordering::Relaxed))
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.report(PoolState::default());
    }
}

/// A request for a connection that waits. Dropped, it has been given up: it is no longer pending.
#[derive(Debug)]
#[must_use = "dropping it ends the wait"]
pub struct Acquire<'a> {
    waiting: Option<Waiting<'a>>,
}

#[derive(Debug)]
struct Waiting<'a> {
    shared: &'a Instruments<DatabaseInstruments>,
    instruments: &'a DatabaseInstruments,
    labels: PoolLabels,
    /// `None` only while it is being dropped.
    pending: Option<UpDownEntry>,
    start: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.instruments.pools.pending_requests.leave(pending);
        }
    }
}

impl Acquire<'_> {
    /// There is a connection: records the wait and starts the clock of its use.
    ///
    /// Costs a reading of the clock, two relaxed atomic additions, and a reference to the families, which is counted.
    pub fn acquired(self) -> ConnectionUse {
        let using = self.waiting.map(|waiting| {
            let Waiting { shared, instruments, labels, start, .. } = &waiting;
            let now = Instant::now();
            instruments.pools.wait_time.record(*labels, now.saturating_duration_since(*start));
            Using { instruments: Instruments::clone(shared), labels: *labels, start: now }
        });
        ConnectionUse { using }
    }

    /// There is none, because of that error: [`ErrorType::PoolTimeout`] counts as a time-out of the pool.
    pub fn failed(self, error: ErrorType) {
        let Some(Waiting { instruments, labels, .. }) = &self.waiting else { return };
        if error == ErrorType::PoolTimeout {
            instruments.pools.timeouts.add(*labels, 1);
        }
    }
}

/// The use of a connection: dropped with it, it records how long it was held, by a reading of the clock and two relaxed
/// atomic additions.
#[derive(Debug)]
#[must_use = "dropping it ends the use"]
pub struct ConnectionUse {
    using: Option<Using>,
}

#[derive(Debug)]
struct Using {
    instruments: Instruments<DatabaseInstruments>,
    labels: PoolLabels,
    start: Instant,
}

impl Drop for ConnectionUse {
    fn drop(&mut self) {
        let Some(Using { instruments, labels, start }) = &self.using else { return };
        if let Some(instruments) = instruments.get() {
            let held: Duration = start.elapsed();
            instruments.pools.use_time.record(*labels, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Monitoring;

    fn monitor(monitoring: &Monitoring, state: impl Fn() -> PoolState + Send + Sync + 'static) -> PoolMonitor {
        PoolMonitor::new(Instruments::of(monitoring).unwrap(), "main", state)
    }

    #[track_caller]
    fn assert_shows(monitoring: &Monitoring, metric: &str, value: &str) {
        let text = monitoring.render();
        assert!(text.contains(&format!("db_client_connection_{metric} {value}\n")), "{metric} {value}\n{text}");
    }

    const IDLE: &str = r#"count{db_client_connection_state="idle",db_client_connection_pool_name="main"}"#;
    const USED: &str = r#"count{db_client_connection_state="used",db_client_connection_pool_name="main"}"#;
    const MAX: &str = r#"max{db_client_connection_pool_name="main"}"#;
    const PENDING: &str = r#"pending_requests{db_client_connection_pool_name="main"}"#;

    #[test]
    fn pools_of_one_name_add_up_and_a_dropped_one_is_taken_out() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let one = monitor(&monitoring, || PoolState { idle: 1, used: 2, max: 4 });
        let two = monitor(&monitoring, || PoolState { idle: 3, used: 0, max: 8 });
        let clone = two.clone();
        for (idle, used, max, drops) in
            [("4", "2", "12", Some(two)), ("4", "2", "12", Some(clone)), ("1", "2", "4", None)]
        {
            assert_shows(&monitoring, IDLE, idle);
            assert_shows(&monitoring, USED, used);
            assert_shows(&monitoring, MAX, max);
            drop(drops);
        }
        drop(one);
        assert_shows(&monitoring, IDLE, "0");
        assert_shows(&monitoring, USED, "0");
        assert_shows(&monitoring, MAX, "0");
    }

    #[test]
    fn scrapes_at_once_count_a_pool_once() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let scrapes = AtomicI64::new(0);
        let _monitor = monitor(&monitoring, move || {
            // Each of the 200 scrapes at once sees another state, those after them the same.
            let used = scrapes.fetch_add(1, Ordering::Relaxed).unsigned_abs().min(200) % 7;
            PoolState { idle: 7 - used, used, max: 7 }
        });
        std::thread::scope(|threads| {
            for _thread in 0..4 {
                threads.spawn(|| (0..50).for_each(|_scrape| drop(monitoring.render())));
            }
        });
        assert_shows(&monitoring, USED, "4");
        assert_shows(&monitoring, IDLE, "3");
        assert_shows(&monitoring, MAX, "7");
    }

    #[test]
    fn a_request_is_pending_until_it_is_resolved_or_dropped() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let monitor = monitor(&monitoring, PoolState::default);
        let (one, two, three, four) = (monitor.acquire(), monitor.acquire(), monitor.acquire(), monitor.acquire());
        assert_shows(&monitoring, PENDING, "4");
        one.failed(ErrorType::PoolTimeout);
        four.failed(ErrorType::ConnectionRefused);
        drop(two);
        let in_use = three.acquired();
        assert_shows(&monitoring, PENDING, "0");
        assert_shows(&monitoring, r#"timeouts_total{db_client_connection_pool_name="main"}"#, "1");
        assert_shows(&monitoring, r#"wait_time_seconds_count{db_client_connection_pool_name="main"}"#, "1");
        assert!(!monitoring.render().contains("use_time_seconds_count"), "it is still in use");
        drop(in_use);
        assert_shows(&monitoring, r#"use_time_seconds_count{db_client_connection_pool_name="main"}"#, "1");
    }

    #[test]
    fn a_connection_in_use_does_not_keep_the_pool_in_the_counts() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let pool = Arc::new(());
        let held = Arc::clone(&pool);
        let monitor =
            monitor(&monitoring, move || PoolState { idle: 0, used: Arc::strong_count(&held) as u64, max: 1 });
        let in_use = monitor.acquire().acquired();
        assert_shows(&monitoring, USED, "2");
        drop(monitor);
        assert_shows(&monitoring, USED, "0");
        assert_eq!(Arc::strong_count(&pool), 1);
        drop(in_use);
    }

    #[test]
    fn taking_a_connection_allocates_nothing() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let monitor = monitor(&monitoring, PoolState::default);
        let take = || drop(monitor.acquire().acquired());
        take();
        assert_eq!(allocation_counter::measure(take).count_total, 0);
    }
}
