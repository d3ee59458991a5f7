//! How the application says that it has a recorder already.

use std::sync::Arc;

use metrics::Recorder;

use super::OutsideRecorder;
use crate::{Monitoring, MonitoringBuilder};

impl MonitoringBuilder {
    /// Records everything into the recorder of the `metrics` facade that the application has installed, such as that of
    /// `metrics-exporter-prometheus`. For a service that has its endpoint already: there it all appears, under the same
    /// names, labels, help texts and units as [`Monitoring::exposition`] would show, which is empty then.
    ///
    /// ```
    /// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    /// use monitoring_core::{Monitoring, catalogue};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut exporter = PrometheusBuilder::new();
    /// for (name, buckets) in catalogue::histogram_buckets() {
    ///     exporter = exporter.set_buckets_for_metric(Matcher::Full(name), buckets)?;
    /// }
    /// let endpoint = exporter.install_recorder()?;
    ///
    /// let monitoring = Monitoring::builder("billing").record_into_global().install()?;
    /// monitoring.collect(); // A thread does so every ten seconds.
    /// assert!(endpoint.render().contains(r#"target_info{service_name="billing"} 1"#));
    /// # Ok(()) }
    /// ```
    ///
    /// # What goes there
    /// - Counters, gauges and histograms as such, durations in seconds. A counter of seconds is a gauge there, because the
    ///   facade's counters are whole numbers; `rate` takes it for what it is. Up-down counters are gauges.
    /// - The label `tenant` has the values that it has here: the store goes on counting, and says which series a record
    ///   belongs to, its own or an overflow one. So [`CardinalityBudget`](crate::CardinalityBudget) bounds the recorder's
    ///   series too, as far as it ever drops those that have ended.
    /// - A gauge that is cleared becomes NaN: the facade cannot take it away.
    /// - No exemplars and no exponential buckets: the facade has none.
    ///
    /// A tenant's own view ([`Monitoring::exposition_of`]) is that of the store, as ever, and so is a push by OTLP if there is
    /// one.
    ///
    /// # When
    /// Install the recorder first. What is counted while there is none goes nowhere, as with the facade's macros; gauges and
    /// up-down counters catch up when there is one, within ten seconds.
    ///
    /// [`install`](Self::install) does not become the recorder of the facade itself.
    ///
    /// # What it costs
    /// A record looks up the handle of its series, without lock or allocation, and calls it; the rest is the recorder's. The
    /// handle of a series that nobody has recorded into for ten to twenty seconds is dropped, and asked for again when
    /// needed. A recorder that drops idle series itself must therefore wait for longer: say half a minute. One thread,
    /// which ends with the [shutdown](Monitoring::shutdown), runs what is [collected](crate::Registry::on_collect).
    ///
    /// # Errors
    /// [`install`](Self::install) and [`build`](Self::build) fail with
    /// [`RecorderIsOurs`](crate::InstallError::RecorderIsOurs) if the recorder is that of another [`Monitoring`].
    ///
    /// # Panics
    /// Recording panics where the recorder does.
    pub fn record_into_global(mut self) -> Self {
        self.config.outside = Some(OutsideRecorder::global());
        self
    }

    /// The same for a recorder that is not, or not only, the one that the facade's macros use. An `Arc` of a recorder is one
    /// too, be it of a `dyn Recorder + Send + Sync`.
    ///
    /// ```
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    /// use monitoring_core::Monitoring;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// let endpoint = recorder.handle();
    /// let monitoring = Monitoring::builder("billing").record_into(recorder).build()?;
    /// monitoring.collect();
    /// assert!(endpoint.render().contains("monitoring_tenants 0"));
    /// assert_eq!(monitoring.render(), "");
    /// # Ok(()) }
    /// ```
    pub fn record_into(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.config.outside = Some(OutsideRecorder::Given(Arc::new(recorder)));
        self
    }
}

impl Monitoring {
    /// Runs the collectors, such as those that look at connection pools, and hands on what they set to the recorder of
    /// [`record_into_global`](MonitoringBuilder::record_into_global).
    ///
    /// A thread does so every ten seconds then; call it before you render your endpoint, and it shows the pools as they are at
    /// that moment. An [`exposition`](Self::exposition) of ours runs the collectors itself.
    pub fn collect(&self) {
        self.registry().hand_on();
    }
}
