//! How many traces from outside were refused: `monitoring.rejected_trace_contexts`.

use std::sync::LazyLock;

use super::InvalidTraceContext;
use crate::catalogue::MONITORING_REJECTED_TRACE_CONTEXTS;
use crate::{Counter, InstrumentSet, Instruments, LabelSet, Registry, RegistryError};

struct Rejected(Counter<RejectedLabels>);

#[derive(Clone, Copy, Debug, LabelSet)]
struct RejectedLabels {
    reason: InvalidTraceContext,
}

impl InstrumentSet for Rejected {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self(registry.counter(&MONITORING_REJECTED_TRACE_CONTEXTS)?))
    }
}

/// Counts it in the monitoring that is installed, if there is one.
pub(super) fn count(reason: InvalidTraceContext) {
    static GLOBAL: LazyLock<Instruments<Rejected>> = LazyLock::new(Instruments::global);
    if let Some(rejected) = GLOBAL.get() {
        rejected.0.add(RejectedLabels { reason }, 1);
    }
}
