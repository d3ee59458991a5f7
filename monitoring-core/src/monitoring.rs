//! The one object that a service sets up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use monitoring_macros::LabelSet;
use subtle::ConstantTimeEq;

use crate::catalogue::TARGET_INFO;
use crate::config::Config;
use crate::error::{ConfigError, InstallError, ShutdownError};
use crate::exposition::{Exposition, Format};
#[cfg(feature = "metrics")]
use crate::facade::{Beat, FacadeRecorder};
#[cfg(feature = "otlp")]
use crate::otlp::{Exporter, OtlpConfig, OtlpStatus};
use crate::shared::Shared;
use crate::store::{CardinalityBudget, Gauge, Registry, Symbol, install_global};
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
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    registry: Registry,
    tenants: TenantRegistry,
    ready: AtomicBool,
    draining: watch::Sender<bool>,
    tasks: TaskTracker,
    shared: Shared,
    /// `None` if nothing is pushed.
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
    /// `None` if nothing is recorded into another recorder.
    #[cfg(feature = "metrics")]
    beat: Option<Beat>,
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

    /// Whether the service takes requests: from the start, until [`set_ready`](Self::set_ready) or
    /// [`shutdown`](Self::shutdown) says otherwise.
    pub fn is_ready(&self) -> bool {
        self.inner.ready.load(Ordering::Relaxed) && !*self.inner.draining.borrow()
    }

    /// Says whether the service takes requests, apart from its shutting down.
    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.store(ready, Ordering::Relaxed);
    }

    /// Resolves when [`shutdown`](Self::shutdown) has been called: for a listener's graceful shutdown.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut draining = self.inner.draining.subscribe();
        async move {
            // The sender is gone only when every handle is: then there is nothing left to serve.
            let _ = draining.wait_for(|draining| *draining).await;
        }
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
    /// When tasks were still running at the deadline; the last push counts as one.
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

/// Sets up a [`Monitoring`], made by [`Monitoring::builder`] or [`Monitoring::from_env`].
#[derive(Clone)]
#[must_use = "nothing is measured until `install` is called"]
pub struct MonitoringBuilder {
    pub(crate) config: Config,
}

impl MonitoringBuilder {
    /// Where the metrics' own listener binds. Default 127.0.0.1:9464; port 0 is any free one.
    pub fn metrics_address(mut self, address: SocketAddr) -> Self {
        self.config.metrics_address = address;
        self
    }

    /// The bearer token that opens `/metrics` on the application's own listener: 16 to 4096 characters. Without one it
    /// stays shut there.
    pub fn metrics_token(mut self, token: impl Into<String>) -> Self {
        self.config.metrics_token = Some(token.into());
        self
    }

    /// The tenants that can be registered. Default 10 000, each about 230 bytes.
    pub fn max_tenants(mut self, tenants: usize) -> Self {
        self.config.max_tenants = tenants;
        self
    }

    /// Whether a tenant that the application has verified is registered when first seen. Default yes; say no if the
    /// application registers its tenants itself.
    pub fn admit_verified(mut self, admit: bool) -> Self {
        self.config.admit_verified = admit;
        self
    }

    /// Pushes the metrics by OTLP, on a thread of its own, from then on when the monitoring is installed or built. Default
    /// no: they are pulled. The last handle's end stops the push; [`Monitoring::shutdown`] pushes once more.
    #[cfg(feature = "otlp")]
    pub fn otlp(mut self, config: OtlpConfig) -> Self {
        self.config.otlp = Some(config);
        self
    }

    /// The budget as it is set so far, by the environment or by code: to change a part of it and give it back to
    /// [`cardinality_budget`](Self::cardinality_budget).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use monitoring_core::{Monitoring, Tier};
    ///
    /// let builder = Monitoring::from_env("billing")?;
    /// let budget = builder.budget().reserve(Tier::Enterprise, 5_000);
    /// let monitoring = builder.cardinality_budget(budget).build()?;
    /// # Ok(()) }
    /// ```
    pub fn budget(&self) -> CardinalityBudget {
        self.config.budget
    }

    /// How many series there may be, how many bytes they may take, and who gets them.
    pub fn cardinality_budget(mut self, budget: CardinalityBudget) -> Self {
        self.config.budget = budget;
        self
    }

    /// Whether every histogram has base-2 exponential buckets beside its explicit ones. Default no; a single metric says
    /// [`Descriptor::exponential`](crate::catalogue::Descriptor::exponential).
    ///
    /// They leave by protobuf, as native histograms, and by OTLP; neighbouring bounds differ by 9 %, and every number has
    /// its bucket. A series takes about 4 KiB more. Without the feature `protobuf` or `otlp` it is an error to say yes.
    pub fn exponential_histograms(mut self, exponential: bool) -> Self {
        self.config.exponential_histograms = exponential;
        self
    }

    /// Whether [`install`](Self::install) becomes the recorder of the `metrics` facade. Default yes; say no to leave the
    /// facade to a recorder that the application has. [`record_into_global`](Self::record_into_global) and
    /// [`record_into`](Self::record_into) leave it too.
    ///
    /// Names and label names are made legal for Prometheus, histograms get the usual buckets of its clients, a label value
    /// of more than 256 bytes becomes `__other__`. A label `tenant` names registered tenants only; take a
    /// [`TenantCounter`](crate::TenantCounter) where tenants must not share a budget of series.
    #[cfg(feature = "metrics")]
    pub fn metrics_facade(mut self, facade: bool) -> Self {
        self.config.facade = facade;
        self
    }

    /// Makes the monitoring the one of this process: every instrument that was told of no other records into it from now
    /// on, and so does the `metrics` facade.
    ///
    /// # Errors
    /// When a setting cannot be used, or something is installed already; then nothing has changed.
    pub fn install(self) -> Result<Monitoring, InstallError> {
        // Two at once would each have half: one the recorder, the other the instruments.
        static INSTALLATION: Mutex<()> = Mutex::new(());
        let _installation = INSTALLATION.lock().unwrap_or_else(PoisonError::into_inner);
        if Monitoring::global().is_some() {
            return Err(InstallError::AlreadyInstalled);
        }
        #[cfg(feature = "metrics")]
        let facade = self.config.facade && self.config.enabled && self.config.outside.is_none();
        let monitoring = self.build()?;
        #[cfg(feature = "metrics")]
        if facade && !FacadeRecorder::new(monitoring.registry().clone()).install() {
            return Err(InstallError::RecorderTaken);
        }
        install_global(monitoring.clone()).map_err(|_second| InstallError::AlreadyInstalled)?;
        Ok(monitoring)
    }

    /// Makes a monitoring that is used only where it is passed to: for tests, and for several services in one process.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn build(self) -> Result<Monitoring, InstallError> {
        self.config.check()?;
        let tenants = TenantRegistry::new(self.config.max_tenants, self.config.admit_verified);
        let registry = self.registry(&tenants)?;
        let target_info: Gauge<TargetLabels> = registry.gauge(&TARGET_INFO)?;
        target_info.set(TargetLabels { service_name: registry.symbol(&self.config.service_name) }, 1.0);
        #[cfg(feature = "metrics")]
        let beat = self.config.outside().map(|outside| Beat::start(&registry, outside)).transpose()?;
        #[cfg(feature = "otlp")]
        let exporter = match &self.config.otlp {
            Some(otlp) if self.config.enabled => Some(Exporter::start(&registry, &self.config.service_name, otlp)?),
            _ => None,
        };
        Ok(Monitoring {
            inner: Arc::new(Inner {
                config: self.config,
                registry,
                tenants,
                ready: AtomicBool::new(true),
                draining: watch::Sender::new(false),
                tasks: TaskTracker::new(),
                shared: Shared::default(),
                #[cfg(feature = "otlp")]
                exporter,
                #[cfg(feature = "metrics")]
                beat,
            }),
        })
    }

    fn registry(&self, tenants: &TenantRegistry) -> Result<Registry, InstallError> {
        let Config { budget, exponential_histograms, .. } = self.config;
        #[cfg(feature = "metrics")]
        if let Some(outside) = self.config.outside() {
            if outside.is_ours() {
                return Err(InstallError::RecorderIsOurs);
            }
            let outside = outside.clone();
            return Ok(Registry::recording_into(outside, tenants.clone(), budget, exponential_histograms)?);
        }
        Ok(Registry::new(tenants.clone(), budget, exponential_histograms)?)
    }
}

#[derive(Clone, Copy, LabelSet)]
struct TargetLabels {
    service_name: Symbol,
}

impl fmt::Debug for MonitoringBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out.
        formatter
            .debug_struct("MonitoringBuilder")
            .field("service_name", &self.config.service_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

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
