//! One runtime that is looked at, and the families that runtimes are told in.

use std::sync::Arc;
use std::time::Duration;

use monitoring_macros::LabelSet;
use tokio::runtime::{Handle, Id};

use super::level::Level;
use super::probe::Probe;
use super::worker::{Look, Worker};
use crate::catalogue::{
    SAAS_TOKIO_BUSY_TIME, SAAS_TOKIO_GLOBAL_QUEUE_DEPTH, SAAS_TOKIO_SCHEDULING_DELAY, SAAS_TOKIO_STALL_TIME,
    SAAS_TOKIO_STALLS, SAAS_TOKIO_TASKS, SAAS_TOKIO_WORKERS,
};
use crate::{Counter, Histogram, Registry, RegistryError, Symbol, UpDownCounter};

/// So many workers are told apart; those of a larger runtime share one series.
const FEW: usize = 16;

/// The name of a runtime that has none.
const UNNAMED: &str = "main";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct RuntimeLabels {
    pub(super) runtime: Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
struct WorkerLabels {
    runtime: Symbol,
    /// Absent where there are many.
    worker: Symbol,
}

/// The families that runtimes are told in.
#[derive(Debug)]
pub(super) struct TokioFamilies {
    workers: UpDownCounter<RuntimeLabels>,
    busy_time: Counter<WorkerLabels, Duration>,
    tasks: UpDownCounter<RuntimeLabels>,
    global_queue_depth: UpDownCounter<RuntimeLabels>,
    scheduling_delay: Histogram<RuntimeLabels>,
    stalls: Counter<RuntimeLabels>,
    stall_time: Counter<RuntimeLabels, Duration>,
    #[cfg(tokio_unstable)]
    unstable: super::unstable::UnstableFamilies,
}

impl TokioFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            workers: registry.up_down_counter(&SAAS_TOKIO_WORKERS)?,
            busy_time: registry.counter(&SAAS_TOKIO_BUSY_TIME)?,
            tasks: registry.up_down_counter(&SAAS_TOKIO_TASKS)?,
            global_queue_depth: registry.up_down_counter(&SAAS_TOKIO_GLOBAL_QUEUE_DEPTH)?,
            scheduling_delay: registry.histogram(&SAAS_TOKIO_SCHEDULING_DELAY)?,
            stalls: registry.counter(&SAAS_TOKIO_STALLS)?,
            stall_time: registry.counter(&SAAS_TOKIO_STALL_TIME)?,
            #[cfg(tokio_unstable)]
            unstable: super::unstable::UnstableFamilies::register(registry)?,
        })
    }
}

/// One runtime. When it has ended, or nobody looks any more, what it has is taken out of the counts.
#[derive(Debug)]
pub(super) struct Attached {
    families: Arc<TokioFamilies>,
    runtime: Handle,
    labels: RuntimeLabels,
    probe: Arc<Probe>,
    workers: Vec<(WorkerLabels, Worker)>,
    levels: Levels,
    #[cfg(tokio_unstable)]
    unstable: super::unstable::Unstable,
}

#[derive(Debug, Default)]
struct Levels {
    workers: Level,
    tasks: Level,
    global_queue: Level,
}

impl Attached {
    pub(super) fn start(families: Arc<TokioFamilies>, registry: &Registry, runtime: &Handle) -> Self {
        let labels = RuntimeLabels { runtime: registry.symbol(runtime.name().unwrap_or(UNNAMED)) };
        let number = runtime.metrics().num_workers();
        let worker = |worker: usize| {
            let worker = if number <= FEW { registry.symbol(&worker.to_string()) } else { Symbol::ABSENT };
            (WorkerLabels { runtime: labels.runtime, worker }, Worker::of(runtime.runtime_flavor()))
        };
        let delays = families.scheduling_delay.clone();
        Self {
            families,
            runtime: runtime.clone(),
            labels,
            probe: Probe::start(runtime, move |delay| delays.record(labels, delay)),
            workers: (0..number).map(worker).collect(),
            levels: Levels::default(),
            #[cfg(tokio_unstable)]
            unstable: super::unstable::Unstable::default(),
        }
    }

    pub(super) fn id(&self) -> Id {
        self.runtime.id()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.probe.has_ended()
    }

    /// Wakes the probe, and looks for workers that are stuck; `since` is how long ago that was done last.
    pub(super) fn beat(&mut self, since: Duration) {
        self.probe.ask();
        let metrics = self.runtime.metrics();
        for (number, (_, worker)) in self.workers.iter_mut().enumerate() {
            if let Look::Stalled { is_new } = worker.look(&metrics, number) {
                self.families.stalls.add(self.labels, u64::from(is_new));
                self.families.stall_time.add(self.labels, since);
            }
        }
    }

    /// Tells what the runtime says of itself.
    pub(super) fn report(&mut self) {
        let metrics = self.runtime.metrics();
        for (number, (labels, worker)) in self.workers.iter_mut().enumerate() {
            self.families.busy_time.add(*labels, worker.busy_since(&metrics, number));
        }
        // There from the start, so that what they grow by is seen.
        self.families.stalls.add(self.labels, 0);
        self.families.stall_time.add(self.labels, Duration::ZERO);
        // Without the probe.
        let tasks = metrics.num_alive_tasks().saturating_sub(1);
        self.report_levels([self.workers.len(), tasks, metrics.global_queue_depth()]);
        #[cfg(tokio_unstable)]
        self.unstable.report(&self.families.unstable, self.labels, &metrics);
    }

    fn report_levels(&self, [workers, tasks, global_queue]: [usize; 3]) {
        let Self { families, levels, labels, .. } = self;
        levels.workers.report(&families.workers, *labels, workers as u64);
        levels.tasks.report(&families.tasks, *labels, tasks as u64);
        levels.global_queue.report(&families.global_queue_depth, *labels, global_queue as u64);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // What its workers did last counts.
        self.report();
        self.report_levels([0; 3]);
        #[cfg(tokio_unstable)]
        self.unstable.end(&self.families.unstable, self.labels);
        self.probe.close();
    }
}
