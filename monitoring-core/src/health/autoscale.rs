//! What an autoscaler looks at.

use std::fmt;
use std::time::Duration;

use crate::catalogue::{HTTP_SERVER_ACTIVE_REQUESTS, SAAS_AUTOSCALE_SIGNAL};
use crate::{Collect, Gauge, LabelSet, Monitoring, RegistryError, Symbol};

/// Tells an autoscaler how much there is to do for this replica: `saas_autoscale_signal`. Each signal is read when the
/// metrics are scraped or pushed, and costs nothing in between.
///
/// Processor time, which autoscalers look at by default, says little of a service that waits for its database: requests
/// pile up while the processor is idle. The manifests in `deploy/autoscaling` scale by these signals.
///
/// ```
/// use std::time::{Duration, Instant};
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::Autoscale;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("billing").build()?;
/// # let oldest_job = || Some(Instant::now() - Duration::from_secs(3));
/// Autoscale::of(&monitoring)?
///     .in_flight() // what the layer of monitoring-axum counts
///     .queue_age(move || oldest_job().map(|since| since.elapsed()));
///
/// let metrics = monitoring.render();
/// assert!(metrics.contains(r#"saas_autoscale_signal{signal="queue_age"} 3"#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Autoscale {
    monitoring: Monitoring,
    gauge: Gauge<SignalLabels>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
struct SignalLabels {
    signal: Symbol,
}

impl Autoscale {
    /// The signals of that monitoring.
    ///
    /// # Errors
    /// When the name of the metric is taken by a different one.
    pub fn of(monitoring: &Monitoring) -> Result<Self, RegistryError> {
        let gauge = monitoring.registry().gauge(&SAAS_AUTOSCALE_SIGNAL)?;
        Ok(Self { monitoring: monitoring.clone(), gauge })
    }

    /// `in_flight`: the HTTP requests that are being answered, as `http_server_active_requests` counts them, added up over
    /// methods. There is no such signal before the first request, and none where everything is recorded into another
    /// recorder.
    pub fn in_flight(self) -> Self {
        let requests = self.monitoring.registry().total_of(&HTTP_SERVER_ACTIVE_REQUESTS);
        self.signal("in_flight", requests)
    }

    /// `queue_age`: the seconds that the oldest job has waited which nobody has taken; `None` if the queue cannot be
    /// asked, and zero if it is empty. It is called for each scrape, so it should be quick: read what a task keeps up to
    /// date, and ask no database.
    pub fn queue_age(self, oldest: impl Fn() -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.signal("queue_age", move || oldest().map(|age| age.as_secs_f64()))
    }

    /// A signal of the application's own. Where it is `None` there is no series, and an autoscaler does nothing, which is
    /// better than to scale down because of a zero that nobody has measured.
    pub fn signal(self, name: &'static str, value: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Self {
        if !self.monitoring.is_enabled() {
            return self;
        }
        let registry = self.monitoring.registry();
        let labels = SignalLabels { signal: registry.symbol(name) };
        let gauge = self.gauge.clone();
        registry.on_collect(move || {
            match value() {
                Some(value) => gauge.set(labels, value),
                None => gauge.clear(labels),
            }
            Collect::Keep
        });
        self
    }
}

impl fmt::Debug for Autoscale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Autoscale").finish_non_exhaustive()
    }
}
