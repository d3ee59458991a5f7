//! What was thrown away in place of being handed on: `monitoring.dropped`.

use monitoring_macros::{LabelSet, LabelValue};

use crate::catalogue::MONITORING_DROPPED;
use crate::store::{Counter, InstrumentSet, Registry, RegistryError};

/// Which of the monitoring's outputs lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
#[non_exhaustive]
pub enum Signal {
    /// Metrics that are pushed, in points.
    Metrics,
    /// Metrics that are scraped, in scrapes.
    Scrapes,
    /// What browsers report, in reports.
    BrowserReports,
}

/// Why it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
#[non_exhaustive]
pub enum DropReason {
    /// A scrape was refused because as many as are allowed were being written.
    ScrapeCap,
    /// A scrape was cut off because its reader was too slow.
    ScrapeDeadline,
    /// The collector could not be reached, or said that it is not able to take anything.
    CollectorUnavailable,
    /// The collector asked for less.
    CollectorThrottled,
    /// The collector refused the whole request.
    CollectorRefused,
    /// The collector took the request, but not all that was in it.
    CollectorRejected,
    /// There was no valid answer: the collector may have it, or not.
    Unanswered,
    /// The time for the shutdown was over.
    Shutdown,
    /// More came than is allowed.
    RateLimited,
    /// It is not what it should be.
    Malformed,
}

/// Counts what was thrown away, so that nothing is lost in silence. Whoever gives something up registers this set, with
/// [`Instruments`](crate::Instruments); all of them share the one family.
///
/// ```
/// use monitoring_core::{DropReason, Dropped, Instruments, Monitoring, Signal};
///
/// let monitoring = Monitoring::builder("billing").build()?;
/// let dropped = Instruments::<Dropped>::of(&monitoring)?;
/// if let Some(dropped) = dropped.get() {
///     dropped.count(Signal::Scrapes, DropReason::ScrapeCap, 1);
/// }
/// assert!(monitoring.render().contains(r#"monitoring_dropped_total{signal="scrapes",reason="scrape_cap"} 1"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Dropped {
    items: Counter<DroppedLabels>,
}

#[derive(Clone, Copy, LabelSet)]
struct DroppedLabels {
    signal: Signal,
    reason: DropReason,
}

impl Dropped {
    /// Counts so many items: an atomic add, without lock or allocation once the series exists.
    pub fn count(&self, signal: Signal, reason: DropReason, items: u64) {
        self.items.add(DroppedLabels { signal, reason }, items);
    }
}

impl InstrumentSet for Dropped {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self { items: registry.counter(&MONITORING_DROPPED)? })
    }
}
