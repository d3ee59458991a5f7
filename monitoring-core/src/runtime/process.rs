//! The process as the kernel sees it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use procfs::process::{Process, Stat};
use rustix::process::{Resource, getrlimit};

use super::level::Level;
use super::mode::{Mode, ModeLabels};
use crate::catalogue::{
    PROCESS_CPU_TIME, PROCESS_MEMORY_USAGE, PROCESS_MEMORY_VIRTUAL, PROCESS_START_TIME, PROCESS_THREAD_COUNT,
    PROCESS_UNIX_FILE_DESCRIPTOR_COUNT, PROCESS_UPTIME, SAAS_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT,
};
use crate::{Counter, Gauge, Registry, RegistryError, UpDownCounter};

/// What is told of this process.
#[derive(Debug)]
pub(super) struct ProcessWatch {
    cpu_time: Counter<ModeLabels, Duration>,
    memory: (UpDownCounter<()>, Level),
    address_space: (UpDownCounter<()>, Level),
    threads: (UpDownCounter<()>, Level),
    file_descriptors: (UpDownCounter<()>, Level),
    file_descriptor_limit: Gauge<()>,
    uptime: Gauge<()>,
    start_time: Gauge<()>,
    start: Option<Start>,
    count: DescriptorCount,
}

/// When the process was started.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// In seconds since 1970.
    wall_clock: f64,
    /// How old it was at that moment.
    age: (Duration, Instant),
}

impl ProcessWatch {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let level = |descriptor| Ok((registry.up_down_counter(descriptor)?, Level::default()));
        Ok(Self {
            cpu_time: registry.counter(&PROCESS_CPU_TIME)?,
            memory: level(&PROCESS_MEMORY_USAGE)?,
            address_space: level(&PROCESS_MEMORY_VIRTUAL)?,
            threads: level(&PROCESS_THREAD_COUNT)?,
            file_descriptors: level(&PROCESS_UNIX_FILE_DESCRIPTOR_COUNT)?,
            file_descriptor_limit: registry.gauge(&SAAS_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT)?,
            uptime: registry.gauge(&PROCESS_UPTIME)?,
            start_time: registry.gauge(&PROCESS_START_TIME)?,
            start: Start::find(),
            count: DescriptorCount::default(),
        })
    }

    /// Looks once; what cannot be read keeps its last value.
    pub(super) fn collect(&self) {
        if let Some(Start { wall_clock, age: (age, at) }) = self.start {
            self.start_time.set((), wall_clock);
            self.uptime.set((), (age + at.elapsed()).as_secs_f64());
        }
        match getrlimit(Resource::Nofile).current {
            Some(limit) => self.file_descriptor_limit.set((), limit as f64),
            None => self.file_descriptor_limit.clear(()),
        }
        let Ok(process) = Process::myself() else { return };
        if let Ok(stat) = process.stat() {
            self.report(&stat);
        }
        if let Some(count) = self.count.read(|| process.fd_count().ok()) {
            let (counter, level) = &self.file_descriptors;
            level.report(counter, (), count as u64);
        }
    }

    fn report(&self, stat: &Stat) {
        for (cpu_mode, ticks) in [(Mode::User, stat.utime), (Mode::System, stat.stime)] {
            self.cpu_time.raise_to(ModeLabels { cpu_mode }, of_ticks(ticks));
        }
        for ((counter, level), now) in [
            (&self.memory, stat.rss.saturating_mul(procfs::page_size())),
            (&self.address_space, stat.vsize),
            (&self.threads, stat.num_threads.unsigned_abs()),
        ] {
            level.report(counter, (), now);
        }
    }
}

impl Start {
    /// `None` where there is no `/proc`.
    fn find() -> Option<Self> {
        let since_boot = of_ticks(Process::myself().ok()?.stat().ok()?.starttime);
        let booted = procfs::boot_time_secs().ok()? as f64;
        // The clock that `starttime` is of: it runs on while the machine sleeps, and nobody sets it.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).ok()?);
        let age = (now.saturating_sub(since_boot), Instant::now());
        Some(Self { wall_clock: booted + since_boot.as_secs_f64(), age })
    }
}

fn of_ticks(ticks: u64) -> Duration {
    let per_second = procfs::ticks_per_second().max(1);
    Duration::from_secs(ticks / per_second)
        + Duration::from_secs(ticks % per_second) / u32::try_from(per_second).unwrap_or(100)
}

/// The number of open file descriptors. The kernel tells it at once since Linux 6.2; before, they are listed one by one,
/// which takes milliseconds where there are many. So it is asked for as seldom as it takes long: for at most a hundredth
/// of the time.
#[derive(Debug, Default)]
struct DescriptorCount(Mutex<Option<Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    count: usize,
    again: Instant,
}

impl DescriptorCount {
    fn read(&self, count: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        if let Some(last) = last.filter(|last| begun < last.again) {
            return Some(last.count);
        }
        let count = count()?;
        let now = Instant::now();
        *last = Some(Counted { count, again: now + 100 * now.saturating_duration_since(begun) });
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_took_long_is_not_repeated_soon_and_one_that_did_not_is() {
        let counts = DescriptorCount::default();
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            Some(7)
        };
        assert_eq!(counts.read(slow), Some(7));
        assert_eq!(counts.read(|| panic!("it is counted again within 2 seconds")), Some(7));

        let counts = DescriptorCount::default();
        counts.read(|| Some(1));
        let deadline = Instant::now() + Duration::from_secs(10);
        while counts.read(|| Some(2)) != Some(2) {
            assert!(Instant::now() < deadline, "a quick count is not repeated");
        }
    }

    #[test]
    fn a_count_that_fails_is_none_and_is_tried_again() {
        let counts = DescriptorCount::default();
        assert_eq!(counts.read(|| None), None);
        assert_eq!(counts.read(|| Some(3)), Some(3));
    }

    #[test]
    fn ticks_become_seconds_without_loss() {
        let second = procfs::ticks_per_second();
        assert_eq!(of_ticks(0), Duration::ZERO);
        assert_eq!(of_ticks(3 * second), Duration::from_secs(3));
        assert_eq!(of_ticks(second / 2), Duration::from_millis(500));
    }
}
