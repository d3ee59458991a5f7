//! How a [`Monitoring`] is set up by code.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use monitoring_macros::LabelSet;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::catalogue::TARGET_INFO;
use crate::config::Config;
use crate::error::InstallError;
#[cfg(feature = "metrics")]
use crate::facade::{Beat, FacadeRecorder};
use crate::monitoring::{Inner, Monitoring};
#[cfg(feature = "otlp")]
use crate::otlp::{Exporter, OtlpConfig};
#[cfg(feature = "runtime")]
use crate::runtime::{self, RuntimeConfig};
use crate::shared::Shared;
use crate::store::{CardinalityBudget, Gauge, Registry, Symbol, install_global};
use crate::tenant::TenantRegistry;

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

    /// What [`install`](Self::install) looks at of this process, its container, its disks and its Tokio runtime. Default
    /// [`RuntimeConfig::new`]: all but the disks, which it has to be told of. A monitoring that is only
    /// [built](Self::build) looks at nothing until [`runtime::observe`] is called.
    #[cfg(feature = "runtime")]
    pub fn runtime(mut self, config: RuntimeConfig) -> Self {
        self.config.runtime = config;
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
    /// A process that forks without another program, as one that becomes a daemon does, installs after that: a child has the
    /// numbers of its parent until then, but none of the threads that push or serve them.
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
        #[cfg(feature = "runtime")]
        let observed = self.config.runtime.clone();
        let monitoring = self.build()?;
        #[cfg(feature = "runtime")]
        runtime::observe(&monitoring, &observed)?;
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
                leaving: AtomicBool::new(false),
                draining: watch::Sender::new(false),
                #[cfg(feature = "health")]
                health: std::sync::OnceLock::new(),
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
