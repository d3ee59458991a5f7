//! What calls are recorded in.

use std::time::Duration;

use super::labels::{ActiveLabels, CallLabels, DependencyLabels};
use crate::catalogue::{HTTP_CLIENT_ACTIVE_REQUESTS, HTTP_CLIENT_REQUEST_DURATION, SAAS_TENANT_DEPENDENCY_TIME};
use crate::{Histogram, InstrumentSet, Registry, RegistryError, TenantCounter, UpDownCounter};

#[derive(Debug)]
pub(super) struct HttpClient {
    pub(super) duration: Histogram<CallLabels>,
    pub(super) active: UpDownCounter<ActiveLabels>,
    pub(super) tenant_time: TenantCounter<DependencyLabels, Duration>,
    pub(super) registry: Registry,
}

impl InstrumentSet for HttpClient {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            duration: registry.histogram(&HTTP_CLIENT_REQUEST_DURATION)?,
            active: registry.up_down_counter(&HTTP_CLIENT_ACTIVE_REQUESTS)?,
            tenant_time: registry.tenant_counter(&SAAS_TENANT_DEPENDENCY_TIME)?,
            registry: registry.clone(),
        })
    }
}
