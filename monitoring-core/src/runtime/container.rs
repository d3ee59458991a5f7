//! The container that the process runs in: its control group, version 2.
//!
//! In a container the group is the root of what can be seen of the hierarchy; under systemd it is a folder in it. Limits
//! of the groups around it hold too, as far as they can be seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mode::{Mode, ModeLabels};
use crate::catalogue::{
    SAAS_CONTAINER_CPU_LIMIT, SAAS_CONTAINER_CPU_PERIODS, SAAS_CONTAINER_CPU_THROTTLED_PERIODS,
    SAAS_CONTAINER_CPU_THROTTLED_TIME, SAAS_CONTAINER_CPU_TIME, SAAS_CONTAINER_MEMORY_LIMIT,
    SAAS_CONTAINER_MEMORY_OOM_KILLS, SAAS_CONTAINER_MEMORY_USAGE, SAAS_CONTAINER_THREAD_LIMIT, SAAS_CONTAINER_THREADS,
};
use crate::{Counter, Gauge, Registry, RegistryError};

/// Where the kernel shows the groups, and where it says which one is ours.
const ROOT: &str = "/sys/fs/cgroup";
const OWN: &str = "/proc/self/cgroup";

/// What is told of this container.
#[derive(Debug)]
pub(super) struct ContainerWatch {
    group: Group,
    cpu_limit: Gauge<()>,
    cpu_time: Counter<ModeLabels, Duration>,
    periods: Counter<()>,
    throttled_periods: Counter<()>,
    throttled_time: Counter<(), Duration>,
    memory: Gauge<()>,
    memory_limit: Gauge<()>,
    oom_kills: Counter<()>,
    threads: Gauge<()>,
    thread_limit: Gauge<()>,
}

impl ContainerWatch {
    /// `None` where there is no control group of version 2.
    pub(super) fn register(registry: &Registry) -> Result<Option<Self>, RegistryError> {
        let own = fs::read_to_string(OWN).unwrap_or_default();
        Self::of(registry, &own, Path::new(ROOT))
    }

    fn of(registry: &Registry, own: &str, root: &Path) -> Result<Option<Self>, RegistryError> {
        let Some(group) = Group::find(own, root) else { return Ok(None) };
        Ok(Some(Self {
            group,
            cpu_limit: registry.gauge(&SAAS_CONTAINER_CPU_LIMIT)?,
            cpu_time: registry.counter(&SAAS_CONTAINER_CPU_TIME)?,
            periods: registry.counter(&SAAS_CONTAINER_CPU_PERIODS)?,
            throttled_periods: registry.counter(&SAAS_CONTAINER_CPU_THROTTLED_PERIODS)?,
            throttled_time: registry.counter(&SAAS_CONTAINER_CPU_THROTTLED_TIME)?,
            memory: registry.gauge(&SAAS_CONTAINER_MEMORY_USAGE)?,
            memory_limit: registry.gauge(&SAAS_CONTAINER_MEMORY_LIMIT)?,
            oom_kills: registry.counter(&SAAS_CONTAINER_MEMORY_OOM_KILLS)?,
            threads: registry.gauge(&SAAS_CONTAINER_THREADS)?,
            thread_limit: registry.gauge(&SAAS_CONTAINER_THREAD_LIMIT)?,
        }))
    }

    /// Looks once; what is not there is not told.
    pub(super) fn collect(&self) {
        self.collect_cpu();
        set(&self.memory, self.group.number("memory.current"));
        set(&self.memory_limit, self.group.least("memory.max", number));
        set(&self.threads, self.group.number("pids.current"));
        set(&self.thread_limit, self.group.least("pids.max", number));
        if let Some(kills) = self.group.text("memory.events").and_then(|events| keyed(&events, "oom_kill")) {
            self.oom_kills.raise_to((), kills);
        }
    }

    fn collect_cpu(&self) {
        set(&self.cpu_limit, self.group.least("cpu.max", processors));
        let Some(stat) = self.group.text("cpu.stat") else { return };
        for (cpu_mode, key) in [(Mode::User, "user_usec"), (Mode::System, "system_usec")] {
            if let Some(time) = keyed(&stat, key) {
                self.cpu_time.raise_to(ModeLabels { cpu_mode }, Duration::from_micros(time));
            }
        }
        for (counter, key) in [(&self.periods, "nr_periods"), (&self.throttled_periods, "nr_throttled")] {
            if let Some(periods) = keyed(&stat, key) {
                counter.raise_to((), periods);
            }
        }
        if let Some(time) = keyed(&stat, "throttled_usec") {
            self.throttled_time.raise_to((), Duration::from_micros(time));
        }
    }
}

fn set(gauge: &Gauge<()>, value: Option<f64>) {
    match value {
        Some(value) => gauge.set((), value),
        None => gauge.clear(()),
    }
}

/// A folder of files that tell of a group, and where the hierarchy begins.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    folder: PathBuf,
    root: PathBuf,
}

impl Group {
    /// The group that `own`, the text of `/proc/self/cgroup`, names under `root`. Version 2 is the line with the number
    /// 0; a group that is outside of what can be seen is shown as the root itself.
    fn find(own: &str, root: &Path) -> Option<Self> {
        if !root.join("cgroup.controllers").is_file() {
            return None;
        }
        let named = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        // `..` is how the kernel names a group that is not below the root of the namespace.
        let below = Path::new(named);
        let is_below = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let folder = Some(root.join(below)).filter(|folder| is_below && folder.is_dir());
        Some(Self { folder: folder.unwrap_or_else(|| root.to_owned()), root: root.to_owned() })
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    fn number(&self, file: &str) -> Option<f64> {
        number(&self.text(file)?)
    }

    /// The least limit of the group and of those around it.
    fn least(&self, file: &str, read: fn(&str) -> Option<f64>) -> Option<f64> {
        let groups = self.folder.ancestors().take_while(|folder| folder.starts_with(&self.root));
        groups.filter_map(|folder| read(&fs::read_to_string(folder.join(file)).ok()?)).reduce(f64::min)
    }
}

/// A file's one number; `None` if it is `max`.
fn number(text: &str) -> Option<f64> {
    text.trim().parse::<u64>().ok().map(|number| number as f64)
}

/// `quota period`, in microseconds, as a number of processors; `None` if the quota is `max`.
fn processors(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let period = number(period).filter(|period| *period > 0.0)?;
    Some(number(quota)? / period)
}

/// The number on the line of that key.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
