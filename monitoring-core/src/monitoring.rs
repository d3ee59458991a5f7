//! The one object that a service sets up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "health")]
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use subtle::ConstantTimeEq;

use crate::builder::MonitoringBuilder;
use crate::config::Config;
use crate::error::{ConfigError, ShutdownError};
use crate::exposition::{Exposition, Format};
#[cfg(feature = "metrics")]
use crate::facade::Beat;
#[cfg(feature = "health")]
use crate::health::Health;
#[cfg(feature = "otlp")]
use crate::otlp::{Exporter, OtlpStatus};
use crate::shared::Shared;
use crate::store::Registry;
use crate::tenant::{Tenant, TenantRegistry};

/// So long what was collected is of now for whoever asks next: as long as scrapes share one answer.
const COLLECTED_FOR: Duration = Duration::from_millis(500);

/// The monitoring of a service: its metric store, its tenants, and whether it is ready. A clone is another handle to the
/// same.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
///
/// let monitoring = Monitoring::from_env("billing")?.install()?;
/// // … serve …
/// monitoring.shutdown(Duration::from_secs(5)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Monitoring {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) tenants: TenantRegistry,
    pub(crate) ready: AtomicBool,
    /// It is about to end, and still serves.
    pub(crate) leaving: AtomicBool,
    pub(crate) draining: watch::Sender<bool>,
    /// Empty as long as no check is started.
    #[cfg(feature = "health")]
    pub(crate) health: OnceLock<Health>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shared: Shared,
    /// `None` if nothing is pushed.
    #[cfg(feature = "otlp")]
    pub(crate) exporter: Option<Exporter>,
    /// `None` if nothing is recorded into another recorder.
    #[cfg(feature = "metrics")]
    pub(crate) beat: Option<Beat>,
}

impl Monitoring {
    /// Begins to set up the monitoring of a service, by code alone.
    pub fn builder(service_name: &str) -> MonitoringBuilder {
        MonitoringBuilder { config: Config::new(service_name) }
    }

    /// Begins to set up the monitoring of a service from environment variables:
    ///
    /// | variable | means | default |
    /// |---|---|---|
    /// | `OTEL_SERVICE_NAME` | the service's name, label of `target_info` | `service_name` |
    /// | `OTEL_RESOURCE_ATTRIBUTES` | `name=value,…`, percent-encoded: `service.name` is the service's name if the former is not set | none |
    /// | `OTEL_SDK_DISABLED` | `true`: the instruments and the `metrics` facade are no-ops | `false` |
    /// | `OTEL_METRICS_EXPORTER` | `otlp` pushes the metrics as well: its variables are in the module `otlp` | `prometheus` |
    /// | `OTEL_EXPORTER_PROMETHEUS_HOST` | where `/metrics` has its own listener | `127.0.0.1` |
    /// | `OTEL_EXPORTER_PROMETHEUS_PORT` | its port | `9464` |
    /// | `MONITORING_METRICS_TOKEN` | bearer token for `/metrics` on the application's own listener | none: refused |
    /// | `MONITORING_MAX_TENANTS` | tenants that can be registered | 10 000 |
    /// | `MONITORING_ADMIT_VERIFIED` | whether a verified tenant is registered when first seen | `true` |
    /// | `MONITORING_SERIES_PER_FAMILY` | series of one per-tenant metric | 100 000 |
    /// | `MONITORING_SERIES_PER_TENANT` | series of one tenant in one metric | 1 000 |
    /// | `MONITORING_STORE_BYTES` | bytes that all series and labels may take | 268 435 456 |
    /// | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `base2_exponential_bucket_histogram`: exponential buckets beside the explicit ones, for protobuf and OTLP | `explicit_bucket_histogram` |
    /// | `MONITORING_COMBINATIONS_PER_FAMILY` | combinations of label values in one metric, the tenant left out | 16 384 |
    ///
    /// # Errors
    /// When a variable cannot be read: the error names it and says what it may be.
    pub fn from_env(service_name: &str) -> Result<MonitoringBuilder, ConfigError> {
        let mut config = Config::new(service_name);
        config.read(|name| std::env::var(name))?;
        Ok(MonitoringBuilder { config })
    }

    /// The service's name.
    pub fn service_name(&self) -> &str {
        &self.inner.config.service_name
    }

    /// Whether instruments record: `false` if `OTEL_SDK_DISABLED` says so.
    pub fn is_enabled(&self) -> bool {
        self.inner.config.enabled
    }

    /// The metric store.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// The tenants that the service knows.
    pub fn tenants(&self) -> &TenantRegistry {
        &self.inner.tenants
    }

    /// The whole store in the Prometheus text format 0.0.4, in chunks.
    ///
    /// It shows every tenant: give it to operators, never to a tenant. The [collectors](Registry::on_collect) run before
    /// this returns: one that hangs, hangs here.
    pub fn exposition(&self) -> Exposition {
        self.exposition_in(Format::Text)
    }

    /// The whole store in that format, in chunks: what [`exposition`](Self::exposition) is in text.
    ///
    /// It shows every tenant: give it to operators, never to a tenant. The [collectors](Registry::on_collect) run before
    /// this returns: one that hangs, hangs here.
    pub fn exposition_in(&self, format: Format) -> Exposition {
        if self.is_exposed_elsewhere() {
            return Exposition::empty(self.inner.registry.clone(), format);
        }
        self.inner.registry.collect();
        Exposition::whole(self.inner.registry.clone(), format)
    }

    /// The same for an asynchronous server: the [collectors](Registry::on_collect) run on another thread, and it waits
    /// for them as long as `patience`. Then the exposition shows what there is, and the delay is counted in
    /// `monitoring_collect_failures_total`. Who asks meanwhile, or half a second later, shares that run: so however many
    /// ask, and whatever hangs, it is one thread.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub async fn collected_exposition_in(&self, format: Format, patience: Duration) -> Exposition {
        if self.is_exposed_elsewhere() {
            return Exposition::empty(self.inner.registry.clone(), format);
        }
        self.inner.registry.collect_within(patience, COLLECTED_FOR).await;
        Exposition::whole(self.inner.registry.clone(), format)
    }

    /// Whether it all leaves through another recorder, and would be counted twice.
    fn is_exposed_elsewhere(&self) -> bool {
        #[cfg(feature = "metrics")]
        return self.inner.beat.is_some();
        #[cfg(not(feature = "metrics"))]
        return false;
    }

    /// What the store has of one tenant, in that format, in chunks: its series of the per-tenant metrics, and nothing
    /// that another tenant or the platform has a part in. This can be shown to the tenant.
    ///
    /// It has no series if the tenant is not registered here: for [`Tenant::NONE`], [`Tenant::UNKNOWN`] and
    /// [`Tenant::OTHER`], and for a handle of another registry. No [collector](Registry::on_collect) runs: what they set
    /// is that of the last time.
    pub fn exposition_of(&self, tenant: Tenant, format: Format) -> Exposition {
        Exposition::of_tenant(self.inner.registry.clone(), tenant, format)
    }

    /// The same after the [collectors](Registry::on_collect) have run, on another thread and at most once in half a
    /// second, however many tenants ask. It waits for them as long as `patience`.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub async fn collected_exposition_of(&self, tenant: Tenant, format: Format, patience: Duration) -> Exposition {
        self.inner.registry.collect_for_a_tenant(patience, COLLECTED_FOR).await;
        self.exposition_of(tenant, format)
    }

    /// The whole store in the Prometheus text format 0.0.4, as one text: for tests and small services.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        for chunk in self.exposition() {
            text.extend_from_slice(&chunk);
        }
        // It is UTF-8: made of texts and numbers.
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(crate) fn shared_values(&self) -> &Shared {
        &self.inner.shared
    }

    /// What became of the points that were pushed by OTLP; `None` if nothing is pushed.
    #[cfg(feature = "otlp")]
    pub fn otlp_status(&self) -> Option<OtlpStatus> {
        self.inner.exporter.as_ref().map(Exporter::status)
    }

    /// Where the metrics' own listener binds.
    pub fn metrics_address(&self) -> SocketAddr {
        self.inner.config.metrics_address
    }

    /// Whether there is a bearer token that opens `/metrics` on the application's own listener.
    pub fn has_metrics_token(&self) -> bool {
        self.inner.config.metrics_token.is_some()
    }

    /// Whether that is the bearer token that opens `/metrics` on the application's own listener; compared in constant time.
    pub fn is_metrics_token(&self, presented: &[u8]) -> bool {
        let token = self.inner.config.metrics_token.as_deref();
        token.is_some_and(|token| presented.ct_eq(token.as_bytes()).into())
    }

    /// Follows a task of the monitoring, so that [`shutdown`](Self::shutdown) waits for it. The task should end soon
    /// after [`draining`](Self::draining) resolves.
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.inner.tasks.track_future(task)
    }

    /// Turns readiness off, and waits until the tasks of the monitoring have ended, up to `deadline`. Calling it again
    /// waits again; recording goes on working.
    ///
    /// If metrics are pushed, they are once more: when the tasks have ended, or at half of the deadline. This works in
    /// any runtime, and in none.
    ///
    /// # Errors
    /// When tasks were still running at the deadline; the last push counts as one. In a process that was forked after the
    /// monitoring was set up there is no thread that could push: then it fails without waiting.
    ///
    /// # Panics
    /// When it has to wait for tasks outside of a Tokio runtime with its timer enabled.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), ShutdownError> {
        self.inner.draining.send_replace(true);
        self.inner.tasks.close();
        #[cfg(feature = "metrics")]
        if let Some(beat) = &self.inner.beat {
            beat.stop();
        }
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.inner.exporter {
            return self.end_push(exporter, deadline).await;
        }
        self.end_tasks(deadline).await
    }

    #[cfg(feature = "otlp")]
    async fn end_push(&self, exporter: &Exporter, deadline: Duration) -> Result<(), ShutdownError> {
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let by = std::time::Instant::now() + deadline.min(FAR);
        let (tasks, is_complete) = tokio::join!(self.end_tasks(deadline), async {
            // What the tasks record until their end is pushed too, if they leave the time.
            let _ = self.end_tasks(deadline / 2).await;
            exporter.shutdown(by).await
        });
        match tasks {
            tasks if is_complete => tasks,
            Ok(()) => Err(ShutdownError { tasks: 1, deadline }),
            Err(error) => Err(ShutdownError { tasks: error.tasks + 1, deadline }),
        }
    }

    async fn end_tasks(&self, deadline: Duration) -> Result<(), ShutdownError> {
        if self.inner.tasks.is_empty() {
            return Ok(());
        }
        tokio::time::timeout(deadline, self.inner.tasks.wait())
            .await
            .map_err(|_elapsed| ShutdownError { tasks: self.inner.tasks.len(), deadline })
    }
}

impl fmt::Debug for Monitoring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Monitoring")
            .field("service_name", &self.inner.config.service_name)
            .field("ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;
    use crate::InstallError;

    fn monitoring() -> Monitoring {
        Monitoring::builder("test").build().unwrap()
    }

    #[test]
    fn a_builder_sets_what_its_handle_tells() {
        let monitoring = Monitoring::builder("billing")
            .metrics_address("127.0.0.1:0".parse().unwrap())
            .metrics_token("0123456789abcdef")
            .max_tenants(1)
            .admit_verified(false)
            .build()
            .unwrap();
        assert_eq!(monitoring.service_name(), "billing");
        assert_eq!(monitoring.metrics_address().port(), 0);
        assert!(monitoring.is_metrics_token(b"0123456789abcdef"));
        assert!(monitoring.is_enabled());
        assert!(!monitoring.tenants().admit("acme").is_known());
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_refused_by_name() {
        let error = Monitoring::builder("test").max_tenants(0).build().unwrap_err();
        assert!(matches!(error, InstallError::Config(ConfigError::Invalid { setting: "MONITORING_MAX_TENANTS", .. })));
    }

    #[test]
    fn the_token_is_shown_nowhere() {
        let builder = Monitoring::builder("test").metrics_token("a-secret-of-some-length");
        assert!(!format!("{builder:?}").contains("secret"));
        let monitoring = builder.build().unwrap();
        assert!(
            !format!("{monitoring:?} {:?} {:?}", monitoring.registry(), monitoring.exposition()).contains("secret")
        );
        assert!(!monitoring.render().contains("secret"));
    }

    #[test]
    fn readiness_is_said_by_the_application_until_the_shutdown() {
        let monitoring = monitoring();
        assert!(monitoring.is_ready());
        monitoring.set_ready(false);
        assert!(!monitoring.clone().is_ready());
        monitoring.set_ready(true);
        assert!(monitoring.is_ready());
        monitoring.begin_draining();
        monitoring.set_ready(true);
        assert!(!monitoring.is_ready() && monitoring.is_draining());
    }

    #[tokio::test]
    async fn a_shutdown_resolves_draining_and_waits_for_tracked_tasks() {
        let monitoring = monitoring();
        let (draining, late) = (monitoring.draining(), Arc::new(Notify::new()));
        let task = tokio::spawn(monitoring.track({
            let late = Arc::clone(&late);
            async move {
                draining.await;
                late.notified().await;
            }
        }));
        let mut shutdown = Box::pin(monitoring.shutdown(Duration::from_secs(60)));
        tokio::select! {
            biased;
            _ = &mut shutdown => panic!("a task was still running"),
            () = yield_now() => {}
        }
        assert!(!monitoring.is_ready());
        late.notify_one();
        assert_eq!(shutdown.await, Ok(()));
        assert!(task.await.is_ok());
        // Whoever asks late is told at once.
        monitoring.draining().await;
        monitoring.set_ready(true);
        assert!(!monitoring.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_ends_at_its_deadline_and_says_what_was_running() {
        let monitoring = monitoring();
        let endless = tokio::spawn(monitoring.track(std::future::pending::<()>()));
        let deadline = Duration::from_secs(5);
        let before = tokio::time::Instant::now();
        let error = monitoring.shutdown(deadline).await.unwrap_err();
        assert_eq!(error, ShutdownError { tasks: 1, deadline });
        assert!(error.to_string().contains("1 task(s)") && error.to_string().contains("5s"), "{error}");
        assert!(before.elapsed() < deadline + Duration::from_millis(100));

        endless.abort();
        assert!(endless.await.unwrap_err().is_cancelled());
        assert_eq!(monitoring.shutdown(deadline).await, Ok(()));
        assert_eq!(monitoring.shutdown(Duration::ZERO).await, Ok(()));
    }

    #[tokio::test]
    async fn recording_goes_on_after_a_shutdown() {
        use crate::Counter;
        use crate::catalogue::{Descriptor, Unit};

        const LATE: Descriptor = Descriptor::counter("test.late", Unit::Count("{thing}"), "Late things.");
        let monitoring = monitoring();
        monitoring.shutdown(Duration::ZERO).await.unwrap();
        let late: Counter<()> = monitoring.registry().counter(&LATE).unwrap();
        late.add((), 1);
        assert!(monitoring.render().contains("test_late_total 1\n"));
    }
}
