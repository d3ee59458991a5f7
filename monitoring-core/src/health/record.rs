//! What is recorded of the checks.

use std::time::Duration;

use crate::catalogue::{SAAS_DEPENDENCY_CHECK_DURATION, SAAS_DEPENDENCY_UP};
use crate::{Gauge, Histogram, InstrumentSet, LabelSet, Registry, RegistryError, Symbol};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct DependencyLabels {
    dependency: Symbol,
    critical: bool,
}

/// The families of the checks.
pub(super) struct HealthInstruments {
    up: Gauge<DependencyLabels>,
    duration: Histogram<DependencyLabels>,
}

impl InstrumentSet for HealthInstruments {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            up: registry.gauge(&SAAS_DEPENDENCY_UP)?,
            duration: registry.histogram(&SAAS_DEPENDENCY_CHECK_DURATION)?,
        })
    }
}

impl HealthInstruments {
    pub(super) fn labels(registry: &Registry, dependency: &str, is_critical: bool) -> DependencyLabels {
        DependencyLabels { dependency: registry.symbol(dependency), critical: is_critical }
    }

    pub(super) fn passed(&self, labels: DependencyLabels, duration: Duration) {
        self.up.set(labels, 1.0);
        self.duration.record(labels, duration);
    }

    pub(super) fn failed(&self, labels: DependencyLabels, duration: Duration) {
        self.up.set(labels, 0.0);
        self.duration.record(labels, duration);
    }
}
