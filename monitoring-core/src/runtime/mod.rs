//! The process, what it runs in, and the Tokio runtime that it works on.
//!
//! ```text
//! observation.rs  begins to look, when the monitoring is installed or is told to
//!   process.rs      the process: processor time, memory, threads, file descriptors   (Linux)
//!   container.rs    its control group: limits, throttling, kills for want of memory  (Linux)
//!   allocator.rs    its memory as jemalloc sees it                                   (feature `jemalloc`)
//!   filesystem.rs   the disks that it was told of, each on a thread of its own       (Unix)
//!   runtimes.rs     its Tokio runtimes, and the thread that looks at them
//!     attached.rs     one runtime: what it says of itself
//!       worker.rs       one worker: busy time, stalls
//!       probe.rs        a task that tells how late it is run
//!       unstable.rs     what is told with `--cfg tokio_unstable` only
//! blocking.rs     work for threads that may block, measured
//! polls.rs        futures that hold up their worker
//! resource.rs     what the application itself has a limited number of
//! ```
//!
//! With the feature `runtime`, [`install`](crate::MonitoringBuilder::install) looks at all of the first part by itself:
//!
//! ```
//! use monitoring_core::Monitoring;
//! use monitoring_core::runtime::{self, RuntimeConfig};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = Monitoring::from_env("billing")?
//!     .runtime(RuntimeConfig::new().disk("/var/lib/billing")) // only if there is more to look at
//!     .install()?;
//!
//! let report = runtime::spawn_blocking(|| "a slow computation").await?;
//!
//! let metrics = monitoring.render();
//! assert!(metrics.contains(r#"saas_tokio_workers{runtime="main"}"#));
//! assert!(metrics.contains("saas_tokio_blocking_run_seconds_count 1"));
//! # let _ = report;
//! # Ok(()) }
//! ```
//!
//! Where there is no runtime at that time, [`attach`] it later. What is looked at is read for each scrape and push, on
//! their thread and not on a worker: a few dozen system calls, together about 0.1 ms.
//!
//! # No garbage collector
//! Rust has none, so there are no pauses and no heap generations to tell. What stands for them: the resident memory of the
//! process ([`process.memory.usage`](crate::catalogue::PROCESS_MEMORY_USAGE)), on which a leak shows; with jemalloc also
//! what is given out and what is only kept
//! ([`saas.runtime.allocator.bytes`](crate::catalogue::SAAS_RUNTIME_ALLOCATOR_BYTES)); and for pauses the
//! scheduling delay and the stalls of the workers. glibc's allocator is not asked: its figures, by `mallinfo2` or `malloc_info`,
//! are found by walking all free memory while its locks are held, which stops every thread that allocates.

#[cfg(feature = "jemalloc")]
mod allocator;
mod attached;
mod blocking;
mod config;
#[cfg(target_os = "linux")]
mod container;
mod error;
#[cfg(unix)]
mod filesystem;
mod level;
#[cfg(target_os = "linux")]
mod mode;
mod observation;
mod polls;
mod probe;
#[cfg(target_os = "linux")]
mod process;
mod resource;
mod runtimes;
#[cfg(tokio_unstable)]
mod unstable;
mod worker;

pub use blocking::{Blocking, spawn_blocking};
pub use config::RuntimeConfig;
pub use error::ObserveError;
pub use observation::{attach, observe};
pub use polls::{LongPollService, LongPolls, MeasurePolls, MeasuredPolls};
pub use resource::Resource;
