//! The process, its memory, its container, its disks, and the Tokio runtime that it works on.

use super::{Descriptor, Stability, Unit};

const PROCESS_CONVENTION: &str = "OpenTelemetry semantic conventions 1.44.0, OS process metrics";
const SYSTEM_CONVENTION: &str = "OpenTelemetry semantic conventions 1.44.0, system metrics";
const CLIENT_CONVENTION: &str = "the client libraries of Prometheus, standard and runtime collectors";

/// Processor time.
pub const PROCESS_CPU_TIME: Descriptor =
    Descriptor::counter("process.cpu.time", Unit::Seconds, "Processor time that the process has used.")
        .labels(&["cpu.mode"])
        .convention(Stability::Development, PROCESS_CONVENTION);

/// Physical memory.
pub const PROCESS_MEMORY_USAGE: Descriptor =
    Descriptor::up_down_counter("process.memory.usage", Unit::Bytes, "Physical memory that the process has in use.")
        .convention(Stability::Development, PROCESS_CONVENTION);

/// Address space.
pub const PROCESS_MEMORY_VIRTUAL: Descriptor =
    Descriptor::up_down_counter("process.memory.virtual", Unit::Bytes, "Address space that the process has taken.")
        .convention(Stability::Development, PROCESS_CONVENTION);

/// Threads.
pub const PROCESS_THREAD_COUNT: Descriptor =
    Descriptor::up_down_counter("process.thread.count", Unit::Count("{thread}"), "Threads of the process.")
        .convention(Stability::Development, PROCESS_CONVENTION);

/// Open files and sockets.
pub const PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: Descriptor = Descriptor::up_down_counter(
    "process.unix.file_descriptor.count",
    Unit::Count("{file_descriptor}"),
    "File descriptors that the process has open: files, sockets, timers.",
)
.convention(Stability::Development, PROCESS_CONVENTION);

/// How many open files and sockets there may be.
pub const SAAS_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT: Descriptor = Descriptor::gauge(
    "saas.process.unix.file_descriptor.limit",
    Unit::Count("{file_descriptor}"),
    "File descriptors that the process may have open; absent if there is no limit.",
);

/// How long the process runs.
pub const PROCESS_UPTIME: Descriptor =
    Descriptor::gauge("process.uptime", Unit::Seconds, "How long the process has been running.")
        .convention(Stability::Development, PROCESS_CONVENTION);

/// When the process was started.
pub const PROCESS_START_TIME: Descriptor =
    Descriptor::gauge("process.start_time", Unit::Seconds, "When the process was started, in seconds since 1970.")
        .convention(Stability::Stable, CLIENT_CONVENTION);

/// The memory of the allocator.
pub const SAAS_RUNTIME_ALLOCATOR_BYTES: Descriptor = Descriptor::gauge(
    "saas.runtime.allocator.bytes",
    Unit::Bytes,
    "Memory of the allocator: given out, in physical memory, kept as address space only.",
)
.labels(&["kind"]);

/// The workers of a runtime.
pub const SAAS_TOKIO_WORKERS: Descriptor =
    Descriptor::up_down_counter("saas.tokio.workers", Unit::Count("{worker}"), "Worker threads of a Tokio runtime.")
        .labels(&["runtime"]);

/// How long the workers were busy.
pub const SAAS_TOKIO_BUSY_TIME: Descriptor = Descriptor::counter(
    "saas.tokio.busy_time",
    Unit::Seconds,
    "Time that workers have spent running tasks; a stretch counts when it ends.",
)
.labels(&["runtime", "worker"]);

/// Tasks that have not ended.
pub const SAAS_TOKIO_TASKS: Descriptor = Descriptor::up_down_counter(
    "saas.tokio.tasks",
    Unit::Count("{task}"),
    "Tasks that have been spawned and not ended.",
)
.labels(&["runtime"]);

/// Tasks that wait in the queue of all workers.
pub const SAAS_TOKIO_GLOBAL_QUEUE_DEPTH: Descriptor = Descriptor::up_down_counter(
    "saas.tokio.global_queue.depth",
    Unit::Count("{task}"),
    "Tasks that wait in the queue that all workers of a runtime share.",
)
.labels(&["runtime"]);

/// How late a task is run.
pub const SAAS_TOKIO_SCHEDULING_DELAY: Descriptor = Descriptor::histogram(
    "saas.tokio.scheduling_delay",
    Unit::Seconds,
    &[0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0],
    "How long a task that was woken by another thread waited until a worker ran it.",
)
.labels(&["runtime"]);

/// Workers that got stuck.
pub const SAAS_TOKIO_STALLS: Descriptor = Descriptor::counter(
    "saas.tokio.stalls",
    Unit::Count("{stall}"),
    "Times that a worker has run tasks for 100 ms or more without looking at timers and sockets.",
)
.labels(&["runtime"]);

/// How long workers were stuck.
pub const SAAS_TOKIO_STALL_TIME: Descriptor = Descriptor::counter(
    "saas.tokio.stall_time",
    Unit::Seconds,
    "Time that workers have spent in stalls, counted while a stall goes on.",
)
.labels(&["runtime"]);

/// Polls that took too long.
pub const SAAS_TOKIO_LONG_POLLS: Descriptor = Descriptor::counter(
    "saas.tokio.long_polls",
    Unit::Count("{poll}"),
    "Polls of measured futures that took longer than their threshold, 50 ms by default.",
);

/// Closures on threads for blocking work.
pub const SAAS_TOKIO_BLOCKING_THREADS: Descriptor = Descriptor::up_down_counter(
    "saas.tokio.blocking_threads",
    Unit::Count("{thread}"),
    "Threads that are running blocking work.",
);

/// Blocking work that waits.
pub const SAAS_TOKIO_BLOCKING_QUEUE_DEPTH: Descriptor = Descriptor::up_down_counter(
    "saas.tokio.blocking_queue.depth",
    Unit::Count("{task}"),
    "Blocking work that waits for a thread.",
);

/// How long blocking work waited.
pub const SAAS_TOKIO_BLOCKING_WAIT: Descriptor = Descriptor::histogram(
    "saas.tokio.blocking.wait",
    Unit::Seconds,
    BLOCKING_BUCKETS,
    "How long blocking work waited for a thread.",
);

/// How long blocking work ran.
pub const SAAS_TOKIO_BLOCKING_RUN: Descriptor = Descriptor::histogram(
    "saas.tokio.blocking.run",
    Unit::Seconds,
    BLOCKING_BUCKETS,
    "How long blocking work ran, to its end or to its panic.",
);

const BLOCKING_BUCKETS: &[f64] = &[0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

/// Threads for blocking work.
pub const SAAS_TOKIO_BLOCKING_POOL_THREADS: Descriptor = Descriptor::up_down_counter(
    "saas.tokio.blocking_pool.threads",
    Unit::Count("{thread}"),
    "Threads that a runtime has for blocking work, idle ones too; with `--cfg tokio_unstable` only.",
)
.labels(&["runtime"]);

/// Tasks that had to make way.
pub const SAAS_TOKIO_FORCED_YIELDS: Descriptor = Descriptor::counter(
    "saas.tokio.forced_yields",
    Unit::Count("{yield}"),
    "Times that a task had to make way because its budget was used up; with `--cfg tokio_unstable` only.",
)
.labels(&["runtime"]);

/// Processors of the container.
pub const SAAS_CONTAINER_CPU_LIMIT: Descriptor = Descriptor::gauge(
    "saas.container.cpu.limit",
    Unit::Count("{cpu}"),
    "Processors that the container may use; absent if there is no limit.",
);

/// Processor time of the container.
pub const SAAS_CONTAINER_CPU_TIME: Descriptor =
    Descriptor::counter("saas.container.cpu.time", Unit::Seconds, "Processor time that the container has used.")
        .labels(&["cpu.mode"]);

/// Periods of the processor's limit.
pub const SAAS_CONTAINER_CPU_PERIODS: Descriptor = Descriptor::counter(
    "saas.container.cpu.periods",
    Unit::Count("{period}"),
    "Periods of the processor limit in which the container was at work.",
);

/// Periods that were cut short.
pub const SAAS_CONTAINER_CPU_THROTTLED_PERIODS: Descriptor = Descriptor::counter(
    "saas.container.cpu.throttled_periods",
    Unit::Count("{period}"),
    "Periods in which the container was stopped because its processor limit was used up.",
);

/// Time for which the container was stopped.
pub const SAAS_CONTAINER_CPU_THROTTLED_TIME: Descriptor = Descriptor::counter(
    "saas.container.cpu.throttled_time",
    Unit::Seconds,
    "Time for which threads of the container were stopped because its processor limit was used up.",
);

/// Memory of the container.
pub const SAAS_CONTAINER_MEMORY_USAGE: Descriptor = Descriptor::gauge(
    "saas.container.memory.usage",
    Unit::Bytes,
    "Memory that the container has in use, the page cache of its files included.",
);

/// Memory that the container may use.
pub const SAAS_CONTAINER_MEMORY_LIMIT: Descriptor = Descriptor::gauge(
    "saas.container.memory.limit",
    Unit::Bytes,
    "Memory that the container may use; absent if there is no limit.",
);

/// Processes that were killed for want of memory.
pub const SAAS_CONTAINER_MEMORY_OOM_KILLS: Descriptor = Descriptor::counter(
    "saas.container.memory.oom_kills",
    Unit::Count("{process}"),
    "Processes of the container that were killed because its memory was used up.",
);

/// Threads of the container.
pub const SAAS_CONTAINER_THREADS: Descriptor =
    Descriptor::gauge("saas.container.threads", Unit::Count("{thread}"), "Threads of the container.");

/// Threads that the container may have.
pub const SAAS_CONTAINER_THREAD_LIMIT: Descriptor = Descriptor::gauge(
    "saas.container.thread.limit",
    Unit::Count("{thread}"),
    "Threads that the container may have; absent if there is no limit.",
);

/// The space of a filesystem.
pub const SYSTEM_FILESYSTEM_USAGE: Descriptor = Descriptor::up_down_counter(
    "system.filesystem.usage",
    Unit::Bytes,
    "Space of a filesystem: used, free, or reserved for the superuser.",
)
.labels(&["system.filesystem.mountpoint", "system.filesystem.state"])
.convention(Stability::Development, SYSTEM_CONVENTION);

/// The size of a filesystem.
pub const SYSTEM_FILESYSTEM_LIMIT: Descriptor =
    Descriptor::up_down_counter("system.filesystem.limit", Unit::Bytes, "Size of a filesystem.")
        .labels(&["system.filesystem.mountpoint"])
        .convention(Stability::Development, SYSTEM_CONVENTION);

/// How old the figures of a filesystem are.
pub const SAAS_FILESYSTEM_AGE: Descriptor = Descriptor::gauge(
    "saas.filesystem.age",
    Unit::Seconds,
    "How long ago a filesystem has told its size; it grows while the filesystem hangs or is not there.",
)
.labels(&["system.filesystem.mountpoint"]);

/// How much of something limited is in use.
pub const SAAS_RESOURCE_USAGE: Descriptor =
    Descriptor::gauge("saas.resource.usage", Unit::Count("1"), "How much of a resource of the application is in use.")
        .labels(&["resource"])
        .per_tenant();

/// How much of it there is.
pub const SAAS_RESOURCE_LIMIT: Descriptor =
    Descriptor::gauge("saas.resource.limit", Unit::Count("1"), "How much of a resource of the application there is.")
        .labels(&["resource"])
        .per_tenant();
