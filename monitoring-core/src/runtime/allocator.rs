//! jemalloc's own figures.

use monitoring_macros::{LabelSet, LabelValue};
use tikv_jemalloc_ctl::{epoch, stats};

use crate::catalogue::SAAS_RUNTIME_ALLOCATOR_BYTES;
use crate::{Gauge, Registry, RegistryError};

/// Which memory; label `kind`.
#[derive(Clone, Copy, Debug, LabelValue)]
enum Memory {
    /// What the program has asked for and not given back.
    Allocated,
    /// What is in physical memory: the former, what was freed and not yet returned, and jemalloc's own.
    Resident,
    /// What was returned to the kernel, and is kept as address space.
    Retained,
}

#[derive(Clone, Copy, LabelSet)]
struct MemoryLabels {
    kind: Memory,
}

/// What is told of the allocator.
#[derive(Debug)]
pub(super) struct AllocatorWatch {
    bytes: Gauge<MemoryLabels>,
}

impl AllocatorWatch {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self { bytes: registry.gauge(&SAAS_RUNTIME_ALLOCATOR_BYTES)? })
    }

    /// Looks once; what cannot be read keeps its last value.
    pub(super) fn collect(&self) {
        // The figures are of the last time that the epoch was advanced.
        if epoch::advance().is_err() {
            return;
        }
        for (kind, bytes) in [
            (Memory::Allocated, stats::allocated::read()),
            (Memory::Resident, stats::resident::read()),
            (Memory::Retained, stats::retained::read()),
        ] {
            if let Ok(bytes) = bytes {
                self.bytes.set(MemoryLabels { kind }, bytes as f64);
            }
        }
    }
}
