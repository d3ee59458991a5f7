//! How many jobs wait, and since when.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::builder::Jobs;
use super::record::{JobFamilies, QueueLabels};
use crate::{Instruments, Monitoring, RegistryError};

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Jobs that wait to be taken, those that are put off or under way left out.
    pub depth: u64,
    /// How long the oldest of them waits; `None` if none waits.
    pub oldest: Option<Duration>,
}

/// The depth and age of a queue, for who knows them already: `saas_job_queue_depth` and `saas_job_queue_age_seconds`.
/// [`QueueMonitor`] asks for them at intervals.
///
/// For a queue in this process, set it where it is looked at, or before each scrape:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::collections::VecDeque;
/// use std::time::Instant;
/// use monitoring_core::job::{Jobs, QueueState};
/// use monitoring_core::{Collect, Monitoring};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("exports").build()?;
/// let waiting: Arc<Mutex<VecDeque<Instant>>> = Arc::default();
/// # waiting.lock().unwrap().push_back(Instant::now());
/// let queue = Jobs::of(&monitoring)?.queue("exports");
///
/// let weak = Arc::downgrade(&waiting);
/// monitoring.registry().on_collect(move || {
///     let Some(waiting) = weak.upgrade() else {
///         queue.clear();
///         return Collect::Remove;
///     };
///     let waiting = waiting.lock().unwrap();
///     queue.set(QueueState { depth: waiting.len() as u64, oldest: waiting.front().map(Instant::elapsed) });
///     Collect::Keep
/// });
///
/// assert!(monitoring.render().contains(r#"saas_job_queue_depth{queue="exports"} 1"#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Queue {
    instruments: Instruments<JobFamilies>,
    name: &'static str,
}

impl Jobs {
    /// The gauges of the queue with that name. Let one process set them where many could see the same queue, or take the
    /// maximum over all in the query.
    pub fn queue(&self, name: &'static str) -> Queue {
        Queue { instruments: self.instruments.clone(), name }
    }
}

impl Queue {
    /// Says what waits in the queue now.
    pub fn set(&self, state: QueueState) {
        self.with(|families, labels| {
            families.queue_depth.set(labels, state.depth as f64);
            families.queue_age.set(labels, state.oldest.unwrap_or_default().as_secs_f64());
        });
    }

    /// Says that nothing is known of the queue now: it has no series until it is set again.
    pub fn clear(&self) {
        self.with(|families, labels| {
            families.queue_depth.clear(labels);
            families.queue_age.clear(labels);
        });
    }

    fn set_up(&self, is_up: bool) {
        self.with(|families, labels| families.queue_up.set(labels, if is_up { 1.0 } else { 0.0 }));
    }

    fn with(&self, act: impl FnOnce(&JobFamilies, QueueLabels)) {
        if let Some(families) = self.instruments.get() {
            act(families, QueueLabels { queue: families.registry.symbol(self.name) });
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Queue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a monitor shows of a queue, for as long as somebody asks.
struct Shown(Queue);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.clear();
        self.0.with(|families, labels| families.queue_up.clear(labels));
    }
}

type Probe = dyn Fn() -> Pin<Box<dyn Future<Output = Option<QueueState>> + Send>> + Send + Sync;

/// Asks a queue for its depth and age, again and again.
///
/// An answer is shown until the next one. If the queue cannot be asked (an error, a panic, no answer in time),
/// `saas_job_queue_up` is 0 at once, and after the third time in a row the depth and the age are gone: what is shown is
/// never older than a few intervals. There is never more than one question under way.
///
/// ```
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_core::job::{QueueMonitor, QueueState};
///
/// # async fn count() -> Result<(u64, Option<Duration>), std::io::Error> { Ok((0, None)) }
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("exports").build()?;
/// QueueMonitor::new("exports", || async {
///     // SELECT count(*), now() - min(created_at) FROM export WHERE state = 'waiting'
///     let (depth, oldest) = count().await?;
///     Ok::<_, std::io::Error>(QueueState { depth, oldest })
/// })
/// .every(Duration::from_secs(10))
/// .start(&monitoring)?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is asked until `start`"]
pub struct QueueMonitor {
    name: &'static str,
    probe: Arc<Probe>,
    every: Duration,
    time_out: Duration,
}

/// So many failures in a row end what is shown.
const FAILURES: u32 = 3;

impl QueueMonitor {
    /// Asks the queue with that name by `probe`: every 15 seconds, with a time-out of 5.
    pub fn new<P, F, E>(name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<QueueState, E>> + Send + 'static,
    {
        let probe = move || -> Pin<Box<dyn Future<Output = Option<QueueState>> + Send>> {
            let answer = probe();
            Box::pin(async move { answer.await.ok() })
        };
        Self { name, probe: Arc::new(probe), every: Duration::from_secs(15), time_out: Duration::from_secs(5) }
    }

    /// Asks at that interval, of at least a millisecond.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(1));
        self
    }

    /// Gives up a question after so long.
    pub fn time_out(mut self, time_out: Duration) -> Self {
        self.time_out = time_out;
        self
    }

    /// Asks from now on until [`Monitoring::shutdown`], or until the task is aborted.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub fn start(self, monitoring: &Monitoring) -> Result<JoinHandle<()>, RegistryError> {
        let queue = Jobs::of(monitoring)?.queue(self.name);
        let draining = monitoring.draining();
        let asking = async move {
            let shown = Shown(queue);
            tokio::select! {
                biased;
                () = draining => {}
                () = self.ask(&shown.0) => {}
            }
        };
        Ok(tokio::spawn(monitoring.track(asking)))
    }

    async fn ask(&self, queue: &Queue) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        loop {
            ticks.tick().await;
            let probe = Arc::clone(&self.probe);
            // On a task of its own it may panic without ending this one.
            let mut question = AbortOnDropHandle::new(tokio::spawn(async move { probe().await }));
            let answer = timeout(self.time_out, &mut question).await;
            let is_late = answer.is_err();
            match answer.ok().and_then(Result::ok).flatten() {
                Some(state) => {
                    failures = 0;
                    queue.set(state);
                    queue.set_up(true);
                }
                None => {
                    failures += 1;
                    queue.set_up(false);
                    if failures >= FAILURES {
                        queue.clear();
                    }
                }
            }
            if is_late {
                question.abort();
                self.wait_for_end(question, queue).await;
            }
        }
    }

    /// A question that holds its thread cannot be aborted: until it has ended no other one begins.
    async fn wait_for_end(&self, mut question: AbortOnDropHandle<Option<QueueState>>, queue: &Queue) {
        if timeout(self.every.saturating_mul(FAILURES), &mut question).await.is_err() {
            queue.clear();
            let _ = question.await;
        }
    }
}

impl fmt::Debug for QueueMonitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("QueueMonitor")
            .field("name", &self.name)
            .field("every", &self.every)
            .field("time_out", &self.time_out)
            .finish_non_exhaustive()
    }
}
