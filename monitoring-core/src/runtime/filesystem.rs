//! The filesystems of configured paths.
//!
//! A filesystem on the network may hang, and whoever asks it for its size hangs too. So each path is looked at by a
//! thread of its own, and a scrape shows what that has found, and how long ago.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use monitoring_macros::{LabelSet, LabelValue};

use super::level::Level;
use crate::catalogue::{SAAS_FILESYSTEM_AGE, SYSTEM_FILESYSTEM_LIMIT, SYSTEM_FILESYSTEM_USAGE};
use crate::{Gauge, Registry, RegistryError, Symbol, UpDownCounter};

/// From one look to the next.
const INTERVAL: Duration = Duration::from_secs(10);

/// Whose space it is; label `system_filesystem_state`.
#[derive(Clone, Copy, Debug, LabelValue)]
enum State {
    Used,
    Free,
    Reserved,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct SpaceLabels {
    system_filesystem_mountpoint: Symbol,
    system_filesystem_state: State,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct PathLabels {
    system_filesystem_mountpoint: Symbol,
}

/// The families that filesystems are told in.
#[derive(Clone, Debug)]
pub(super) struct FilesystemFamilies {
    usage: UpDownCounter<SpaceLabels>,
    limit: UpDownCounter<PathLabels>,
    age: Gauge<PathLabels>,
}

impl FilesystemFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            usage: registry.up_down_counter(&SYSTEM_FILESYSTEM_USAGE)?,
            limit: registry.up_down_counter(&SYSTEM_FILESYSTEM_LIMIT)?,
            age: registry.gauge(&SAAS_FILESYSTEM_AGE)?,
        })
    }
}

/// The space of a filesystem, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    used: u64,
    free: u64,
    reserved: u64,
}

impl Space {
    /// Asks the filesystem that holds the path. May take for ever.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self {
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            free: bytes(found.f_bavail),
            reserved: bytes(found.f_bfree.saturating_sub(found.f_bavail)),
        })
    }

    fn size(self) -> u64 {
        self.used.saturating_add(self.free).saturating_add(self.reserved)
    }
}

/// What was found last, and when; before anything was found, when the watch began.
#[derive(Debug)]
struct Found {
    space: Option<Space>,
    at: Instant,
}

/// One path that is watched, until this is dropped.
#[derive(Debug)]
pub(super) struct FilesystemWatch {
    families: FilesystemFamilies,
    path: Symbol,
    found: Arc<Mutex<Found>>,
    levels: [Level; 4],
    /// Dropped, it ends the thread when that wakes.
    _stop: Mutex<Sender<Infallible>>,
}

impl FilesystemWatch {
    /// Starts the thread that asks `look` for the space of that path.
    pub(super) fn start(
        families: FilesystemFamilies,
        registry: &Registry,
        path: &Path,
        look: impl Fn(&Path) -> io::Result<Space> + Send + 'static,
    ) -> io::Result<Self> {
        let found = Arc::new(Mutex::new(Found { space: None, at: Instant::now() }));
        let (stop, stopped) = mpsc::channel();
        let label = registry.symbol(&path.to_string_lossy());
        let (path, shared): (PathBuf, _) = (path.to_owned(), Arc::clone(&found));
        thread::Builder::new()
            .name("monitoring-disk".to_owned())
            .spawn(move || watch(&shared, &stopped, || look(&path)))?;
        Ok(Self { families, path: label, found, levels: Default::default(), _stop: Mutex::new(stop) })
    }

    /// Tells what was found last. Never waits for the filesystem.
    pub(super) fn collect(&self) {
        let (space, age) = {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            (found.space, found.at.elapsed())
        };
        let labels = PathLabels { system_filesystem_mountpoint: self.path };
        self.families.age.set(labels, age.as_secs_f64());
        let Some(space) = space else { return };
        let [used, free, reserved, size] = &self.levels;
        for (system_filesystem_state, level, bytes) in [
            (State::Used, used, space.used),
            (State::Free, free, space.free),
            (State::Reserved, reserved, space.reserved),
        ] {
            let labels = SpaceLabels { system_filesystem_mountpoint: self.path, system_filesystem_state };
            level.report(&self.families.usage, labels, bytes);
        }
        size.report(&self.families.limit, labels, space.size());
    }
}

fn watch(found: &Mutex<Found>, stopped: &Receiver<Infallible>, look: impl Fn() -> io::Result<Space>) {
    loop {
        if let Ok(space) = look() {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Found { space: Some(space), at: Instant::now() };
        }
        // Nothing is ever sent.
        if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use monitoring_tests::exposition::Samples;

    use super::*;
    use crate::Monitoring;

    const SPACE: Space = Space { used: 60, free: 30, reserved: 10 };

    fn start(monitoring: &Monitoring, look: impl Fn(&Path) -> io::Result<Space> + Send + 'static) -> FilesystemWatch {
        let registry = monitoring.registry();
        let families = FilesystemFamilies::register(registry).unwrap();
        FilesystemWatch::start(families, registry, Path::new("/data"), look).unwrap()
    }

    fn samples(monitoring: &Monitoring, watch: &FilesystemWatch) -> Samples {
        watch.collect();
        monitoring.render().parse().unwrap()
    }

    const PATH: (&str, &str) = ("system_filesystem_mountpoint", "/data");

    fn until(mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < deadline, "it never was so");
            thread::yield_now();
        }
    }

    #[test]
    fn a_filesystem_tells_its_space_by_state_and_its_size() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let watch = start(&monitoring, |_path| Ok(SPACE));
        until(|| samples(&monitoring, &watch).value("system_filesystem_limit_bytes", &[PATH]) == Some(100.0));
        let samples = samples(&monitoring, &watch);
        for (state, bytes) in [("used", 60.0), ("free", 30.0), ("reserved", 10.0)] {
            let labels = [PATH, ("system_filesystem_state", state)];
            assert_eq!(samples.value("system_filesystem_usage_bytes", &labels), Some(bytes), "{state}");
        }
    }

    #[test]
    fn a_filesystem_that_hangs_holds_up_nobody_and_is_seen_by_its_age() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let (release, hang) = mpsc::channel::<()>();
        let watch = start(&monitoring, move |_path| {
            let _ended = hang.recv();
            Ok(SPACE)
        });
        let age = |samples: &Samples| samples.value("saas_filesystem_age_seconds", &[PATH]).unwrap();
        let first = samples(&monitoring, &watch);
        assert_eq!(first.value("system_filesystem_limit_bytes", &[PATH]), None);
        let first = age(&first);
        until(|| age(&samples(&monitoring, &watch)) > first + 0.01);
        // Once it answers, its figures are of now.
        drop(release);
        until(|| samples(&monitoring, &watch).value("system_filesystem_limit_bytes", &[PATH]) == Some(100.0));
    }

    #[test]
    fn what_is_not_there_has_an_age_and_no_size() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let (looked, looks) = mpsc::channel();
        let watch = start(&monitoring, move |_path| {
            let _ = looked.send(());
            Err(io::ErrorKind::NotFound.into())
        });
        looks.recv().unwrap();
        let samples = samples(&monitoring, &watch);
        assert_eq!(samples.value("system_filesystem_limit_bytes", &[PATH]), None);
        assert!(samples.value("saas_filesystem_age_seconds", &[PATH]).is_some());
    }

    #[test]
    fn the_thread_ends_when_nobody_watches_any_more() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let watch = start(&monitoring, move |_path| {
            let _ = &held;
            Ok(SPACE)
        });
        drop(watch);
        until(|| Arc::strong_count(&alive) == 1);
    }

    #[test]
    fn the_states_of_a_real_filesystem_add_up_to_its_size() {
        let space = Space::of(&std::env::temp_dir()).unwrap();
        assert!(space.size() > 0 && space.used > 0, "{space:?}");
        assert!(Space::of(Path::new("/no/such/folder")).is_err());
    }
}
