//! What is looked at for one monitoring, from its being installed on.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::config::RuntimeConfig;
use super::error::ObserveError;
use super::runtimes::Runtimes;
use crate::{Collect, Monitoring};

/// Looks at this process for that monitoring: its processor time, memory, threads and file descriptors, its allocator
/// (feature `jemalloc`), its container, and the filesystems that `config` names, each time that somebody scrapes or
/// pushes. Called within a Tokio runtime, it [attaches](attach) that too.
///
/// [`install`](crate::MonitoringBuilder::install) does this by itself. It is for a monitoring that was made with
/// [`build`](crate::MonitoringBuilder::build), of which there may be several in a process. Nothing happens if the
/// monitoring is switched off, or `config` is [`off`](RuntimeConfig::off).
///
/// ```
/// use monitoring_core::{Monitoring, runtime};
/// use monitoring_core::runtime::RuntimeConfig;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitoring = Monitoring::builder("billing").build()?;
/// runtime::observe(&monitoring, &RuntimeConfig::new())?;
/// assert!(monitoring.render().contains(r#"saas_tokio_workers{runtime="main"}"#));
/// # #[cfg(target_os = "linux")]
/// assert!(monitoring.render().contains("process_memory_usage_bytes"));
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the monitoring looks at the process already, when the name of a metric is taken by a different one, or when a
/// thread cannot be started. What was begun by then goes on.
pub fn observe(monitoring: &Monitoring, config: &RuntimeConfig) -> Result<(), ObserveError> {
    if !config.is_on || !monitoring.is_enabled() {
        return Ok(());
    }
    let observation = Observation::of(monitoring);
    if std::mem::replace(&mut *lock(&observation.is_begun), true) {
        return Err(ObserveError::AlreadyObserved);
    }
    watch_process(monitoring)?;
    watch_disks(monitoring, config)?;
    match Handle::try_current() {
        Ok(runtime) => attach(monitoring, &runtime),
        Err(_outside) => Ok(()),
    }
}

/// Looks at that Tokio runtime, until it ends: how many workers and tasks it has, how busy and how late they are. The
/// label `runtime` is its [name](tokio::runtime::Builder::name), or `main`; those of one name add up.
///
/// The runtime in which [`install`](crate::MonitoringBuilder::install) or [`observe`] is called is attached by them. It
/// is for a runtime that is made later, and for a further one. A runtime that is attached already stays so, once. Attach
/// what is driven all the time: the workers of a `current_thread` runtime that nobody drives seem to be stuck.
///
/// A thread looks at all runtimes ten times a second, and wakes one task in each. With a runtime of two workers that was
/// 0.2 % of one processor, thread and workers together, in a build without optimisation. Nothing happens if the
/// monitoring is switched off.
///
/// ```
/// use monitoring_core::{Monitoring, runtime};
/// use tokio::runtime::Runtime;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let monitoring = Monitoring::from_env("billing")?.install()?;
///     let tokio = Runtime::new()?;
///     runtime::attach(&monitoring, tokio.handle())?;
/// #   assert!(monitoring.render().contains(r#"saas_tokio_workers{runtime="main"}"#));
///     // `tokio.block_on(serve(…))`
///     Ok(())
/// }
/// ```
///
/// # Errors
/// When the name of a metric is taken by a different one, or when the thread cannot be started.
pub fn attach(monitoring: &Monitoring, runtime: &Handle) -> Result<(), ObserveError> {
    if !monitoring.is_enabled() {
        return Ok(());
    }
    let runtimes = Observation::of(monitoring).runtimes(monitoring)?;
    runtimes.attach(monitoring.registry(), runtime).map_err(|error| ObserveError::thread(&error))
}

/// What one monitoring looks at.
#[derive(Debug, Default)]
struct Observation {
    is_begun: Mutex<bool>,
    /// `None` until there is a runtime. The monitoring alone holds it: with the monitoring the looking ends.
    runtimes: Mutex<Option<Arc<Runtimes>>>,
}

impl Observation {
    fn of(monitoring: &Monitoring) -> Arc<Self> {
        monitoring.shared(Self::default)
    }

    fn runtimes(&self, monitoring: &Monitoring) -> Result<Arc<Runtimes>, ObserveError> {
        let mut known = lock(&self.runtimes);
        if let Some(runtimes) = known.as_ref() {
            return Ok(Arc::clone(runtimes));
        }
        let runtimes = Arc::new(Runtimes::register(monitoring.registry())?);
        let collected = Arc::downgrade(&runtimes);
        monitoring.registry().on_collect(move || match collected.upgrade() {
            Some(runtimes) => {
                runtimes.collect();
                Collect::Keep
            }
            None => Collect::Remove,
        });
        Ok(Arc::clone(known.insert(runtimes)))
    }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each in a collector of its own, so that one that fails takes nothing with it.
fn watch_process(monitoring: &Monitoring) -> Result<(), ObserveError> {
    let registry = monitoring.registry();
    #[cfg(target_os = "linux")]
    {
        let process = super::process::ProcessWatch::register(registry)?;
        registry.on_collect(move || {
            process.collect();
            Collect::Keep
        });
        if let Some(container) = super::container::ContainerWatch::register(registry)? {
            registry.on_collect(move || {
                container.collect();
                Collect::Keep
            });
        }
    }
    #[cfg(feature = "jemalloc")]
    {
        let allocator = super::allocator::AllocatorWatch::register(registry)?;
        registry.on_collect(move || {
            allocator.collect();
            Collect::Keep
        });
    }
    let _ = registry;
    Ok(())
}

#[cfg(unix)]
fn watch_disks(monitoring: &Monitoring, config: &RuntimeConfig) -> Result<(), ObserveError> {
    use super::filesystem::{FilesystemFamilies, FilesystemWatch, Space};

    if config.disks.is_empty() {
        return Ok(());
    }
    let registry = monitoring.registry();
    let families = FilesystemFamilies::register(registry)?;
    for path in &config.disks {
        let watch = FilesystemWatch::start(families.clone(), registry, path, Space::of)
            .map_err(|error| ObserveError::thread(&error))?;
        registry.on_collect(move || {
            watch.collect();
            Collect::Keep
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn watch_disks(_monitoring: &Monitoring, config: &RuntimeConfig) -> Result<(), ObserveError> {
    if !config.disks.is_empty() {
        tracing::warn!("the space of disks is not told on this system: only on Unix");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
