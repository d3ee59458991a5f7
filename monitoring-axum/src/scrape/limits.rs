//! How many scrapes there may be at a time, and how slow.

use std::time::Duration;

use monitoring_core::Monitoring;

use super::admission::Scrapes;

/// What a deadline is at least: with none at all nobody could read anything.
const SHORTEST: Duration = Duration::from_millis(1);
/// What a deadline is at most: it is a point in time, and those have an end.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How many scrapes a service answers at a time, and how long a reader may take. The defaults suit Prometheus with its
/// own defaults; larger ones suit a scraper with a `scrape_timeout` of minutes.
///
/// What is written is shared by all who ask for the same within half a second, so the limit is one of different renders,
/// not of readers. Beyond it the answer is 503. The metrics of [tenants](crate::tenant_metrics) have as many places of
/// their own: no tenant can keep an operator from seeing.
///
/// ```
/// use std::time::Duration;
/// use monitoring_axum::ScrapeLimits;
/// use monitoring_core::Monitoring;
///
/// let monitoring = Monitoring::builder("billing").build()?;
/// ScrapeLimits::default().scrape_deadline(Duration::from_secs(180)).set(&monitoring);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "limits hold once they are `set` for a monitoring"]
pub struct ScrapeLimits {
    pub(super) renders: usize,
    pub(super) write_deadline: Duration,
    pub(super) scrape_deadline: Duration,
}

impl ScrapeLimits {
    /// How many different scrapes may be written at a time; at least 1. Default 4. Each takes up to 2 MiB, and up to half
    /// a mebibyte more if it is compressed.
    pub fn renders(mut self, renders: usize) -> Self {
        self.renders = renders.max(1);
        self
    }

    /// How long a reader may take nothing before it is cut off, from a millisecond to a day. Default 10 seconds. A fifth
    /// of that is how long the others who share its scrape wait for it, all their waiting taken together; and how long
    /// it may take nothing where another scrape finds no room.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline.clamp(SHORTEST, LONGEST);
        self
    }

    /// How long a scrape may take altogether before it is cut off, from a millisecond to a day. Default 60 seconds.
    pub fn scrape_deadline(mut self, deadline: Duration) -> Self {
        self.scrape_deadline = deadline.clamp(SHORTEST, LONGEST);
        self
    }

    /// Makes these the limits of that monitoring's scrapes, from the next one on.
    pub fn set(self, monitoring: &Monitoring) {
        Scrapes::of(monitoring).set_limits(self);
    }

    /// How long a scrape takes in the end: as long as it may, and then until the last of it was written.
    pub(super) fn longest(&self) -> Duration {
        self.scrape_deadline + self.write_deadline
    }

    /// How long others wait for a reader, all their waiting taken together.
    pub(super) fn patience(&self) -> Duration {
        self.write_deadline / 5
    }
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self { renders: 4, write_deadline: Duration::from_secs(10), scrape_deadline: Duration::from_secs(60) }
    }
}
