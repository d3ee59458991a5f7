//! What a runtime tells only in a build with `--cfg tokio_unstable`.

use tokio::runtime::RuntimeMetrics;

use super::attached::RuntimeLabels;
use super::level::Level;
use crate::catalogue::{
    SAAS_TOKIO_BLOCKING_POOL_THREADS, SAAS_TOKIO_BLOCKING_QUEUE_DEPTH, SAAS_TOKIO_BLOCKING_THREADS,
    SAAS_TOKIO_FORCED_YIELDS,
};
use crate::{Counter, Registry, RegistryError, UpDownCounter};

#[derive(Debug)]
pub(super) struct UnstableFamilies {
    blocking_threads: UpDownCounter<()>,
    blocking_queue_depth: UpDownCounter<()>,
    pool_threads: UpDownCounter<RuntimeLabels>,
    forced_yields: Counter<RuntimeLabels>,
}

impl UnstableFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            blocking_threads: registry.up_down_counter(&SAAS_TOKIO_BLOCKING_THREADS)?,
            blocking_queue_depth: registry.up_down_counter(&SAAS_TOKIO_BLOCKING_QUEUE_DEPTH)?,
            pool_threads: registry.up_down_counter(&SAAS_TOKIO_BLOCKING_POOL_THREADS)?,
            forced_yields: registry.counter(&SAAS_TOKIO_FORCED_YIELDS)?,
        })
    }
}

/// What of one runtime is told already.
#[derive(Debug, Default)]
pub(super) struct Unstable {
    blocking_threads: Level,
    blocking_queue: Level,
    pool_threads: Level,
    forced_yields: u64,
}

impl Unstable {
    pub(super) fn report(&mut self, families: &UnstableFamilies, labels: RuntimeLabels, metrics: &RuntimeMetrics) {
        let threads = metrics.num_blocking_threads();
        let running = threads.saturating_sub(metrics.num_idle_blocking_threads());
        self.report_levels(families, labels, [running, metrics.blocking_queue_depth(), threads]);
        let yields = metrics.budget_forced_yield_count();
        families.forced_yields.add(labels, yields.saturating_sub(self.forced_yields));
        self.forced_yields = yields;
    }

    /// Takes the levels out of the counts.
    pub(super) fn end(&self, families: &UnstableFamilies, labels: RuntimeLabels) {
        self.report_levels(families, labels, [0; 3]);
    }

    fn report_levels(&self, families: &UnstableFamilies, labels: RuntimeLabels, levels: [usize; 3]) {
        let [running, waiting, threads] = levels.map(|level| level as u64);
        self.blocking_threads.report(&families.blocking_threads, (), running);
        self.blocking_queue.report(&families.blocking_queue_depth, (), waiting);
        self.pool_threads.report(&families.pool_threads, labels, threads);
    }
}
