//! The layer, and its options.

use std::sync::Arc;

use tower_layer::Layer;

use super::dependency::Dependency;
use super::record::HttpClient;
use super::service::ClientService;
use crate::{Instruments, Monitoring, RegistryError};

/// The layer that measures calls; its methods are its options. See the [module](super) for what is recorded.
///
/// It records into the monitoring that `Monitoring::install()` has set, whether that was before or comes later.
pub fn layer() -> ClientLayer {
    ClientLayer { settings: Arc::new(Settings { instruments: Instruments::global(), dependencies: Vec::new() }) }
}

/// Measures the calls that pass through, made by [`layer`].
#[derive(Clone, Debug)]
pub struct ClientLayer {
    pub(super) settings: Arc<Settings>,
}

/// The options, shared by all services and calls.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) instruments: Instruments<HttpClient>,
    pub(super) dependencies: Vec<Dependency>,
}

impl ClientLayer {
    /// Adds a service that is called. Of several that a host fits, the one that was added first counts.
    #[must_use]
    pub fn dependency(mut self, dependency: Dependency) -> Self {
        Arc::make_mut(&mut self.settings).dependencies.push(dependency);
        self
    }

    /// Records into `monitoring` and not into the one that was installed globally.
    ///
    /// # Errors
    /// When a metric's name is taken by a different metric of the application.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        Arc::make_mut(&mut self.settings).instruments = Instruments::of(monitoring)?;
        Ok(self)
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService::new(inner, Arc::clone(&self.settings))
    }
}
