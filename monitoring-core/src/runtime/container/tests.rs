//! Control groups, in folders that look like them.

use monitoring_tests::exposition::Samples;

use super::*;
use crate::Monitoring;

/// A hierarchy in a temporary folder.
struct Hierarchy(tempfile::TempDir);

impl Hierarchy {
    fn new() -> Self {
        let hierarchy = Self(tempfile::tempdir().unwrap());
        hierarchy.write("", "cgroup.controllers", "cpu memory pids\n");
        hierarchy
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, group: &str, file: &str, text: &str) {
        let folder = self.root().join(group);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }
}

const CPU_STAT: &str = "usage_usec 3500000\nuser_usec 2500000\nsystem_usec 1000000\nnr_periods 40\nnr_throttled 10\n\
                        throttled_usec 750000\nnr_bursts 0\n";

#[test]
fn a_container_tells_its_limits_its_use_and_how_it_was_held_back() {
    let hierarchy = Hierarchy::new();
    for (file, text) in [
        ("cpu.max", "150000 100000\n"),
        ("cpu.stat", CPU_STAT),
        ("memory.current", "1048576\n"),
        ("memory.max", "4194304\n"),
        ("memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ("pids.current", "17\n"),
        ("pids.max", "100\n"),
    ] {
        hierarchy.write("", file, text);
    }
    let samples = collected(&hierarchy, "0::/\n").unwrap();
    for (name, labels, expected) in [
        ("saas_container_cpu_limit", [].as_slice(), 1.5),
        ("saas_container_cpu_time_seconds_total", &[("cpu_mode", "user")], 2.5),
        ("saas_container_cpu_time_seconds_total", &[("cpu_mode", "system")], 1.0),
        ("saas_container_cpu_periods_total", &[], 40.0),
        ("saas_container_cpu_throttled_periods_total", &[], 10.0),
        ("saas_container_cpu_throttled_time_seconds_total", &[], 0.75),
        ("saas_container_memory_usage_bytes", &[], 1_048_576.0),
        ("saas_container_memory_limit_bytes", &[], 4_194_304.0),
        ("saas_container_memory_oom_kills_total", &[], 2.0),
        ("saas_container_threads", &[], 17.0),
        ("saas_container_thread_limit", &[], 100.0),
    ] {
        assert_eq!(samples.value(name, labels), Some(expected), "{name} {labels:?}");
    }
}

#[test]
fn the_least_limit_of_all_groups_around_holds_and_one_that_is_lifted_is_gone() {
    let hierarchy = Hierarchy::new();
    hierarchy.write("system.slice", "memory.max", "1000\n");
    hierarchy.write("system.slice/app.service", "memory.max", "max\n");
    hierarchy.write("system.slice", "cpu.max", "max 100000\n");
    hierarchy.write("system.slice/app.service", "cpu.max", "50000 100000\n");
    hierarchy.write("other.slice", "memory.max", "1\n");

    let monitoring = Monitoring::builder("test").build().unwrap();
    let watch =
        ContainerWatch::of(monitoring.registry(), "1:name=x:/\n0::/system.slice/app.service\n", hierarchy.root());
    let watch = watch.unwrap().unwrap();
    let memory = || {
        watch.collect();
        samples(&monitoring).value("saas_container_memory_limit_bytes", &[])
    };
    assert_eq!(memory(), Some(1000.0));
    assert_eq!(samples(&monitoring).value("saas_container_cpu_limit", &[]), Some(0.5));
    hierarchy.write("system.slice/app.service", "memory.max", "900\n");
    assert_eq!(memory(), Some(900.0));
    hierarchy.write("system.slice/app.service", "memory.max", "max\n");
    hierarchy.write("system.slice", "memory.max", "max\n");
    assert_eq!(memory(), None);
}

#[test]
fn what_a_group_does_not_have_is_not_told() {
    let hierarchy = Hierarchy::new();
    hierarchy.write("", "memory.current", "nonsense\n");
    hierarchy.write("", "cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec many\n");
    let samples = collected(&hierarchy, "0::/\n").unwrap();
    assert_eq!(samples.value("saas_container_cpu_time_seconds_total", &[("cpu_mode", "user")]), Some(0.000_003));
    let told: Vec<_> = samples.iter().filter(|(series, _)| series.name.starts_with("saas_container_")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn version_1_alone_and_no_hierarchy_at_all_tell_nothing() {
    let root = tempfile::tempdir().unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let of = |own: &str, root: &Path| ContainerWatch::of(monitoring.registry(), own, root).unwrap();
    assert!(of("4:memory:/app\n1:cpu:/app\n0::/\n", root.path()).is_none());
    assert!(of("0::/\n", &root.path().join("absent")).is_none());
    let hierarchy = Hierarchy::new();
    assert!(of("4:memory:/app\n", hierarchy.root()).is_none());
    assert!(of("", hierarchy.root()).is_none());
}

#[test]
fn a_group_that_cannot_be_seen_is_the_root_and_nothing_outside_is_read() {
    let hierarchy = Hierarchy::new();
    hierarchy.write("known", "memory.max", "1\n");
    let folder = |own: &str| Group::find(own, hierarchy.root()).unwrap().folder;
    assert_eq!(folder("0::/docker/abc\n"), hierarchy.root());
    assert_eq!(folder("0::/../../etc\n"), hierarchy.root());
    assert_eq!(folder("0::/known\n"), hierarchy.root().join("known"));
}

/// What a scrape shows after a look at the group; `None` if there is no group.
fn collected(hierarchy: &Hierarchy, own: &str) -> Option<Samples> {
    let monitoring = Monitoring::builder("test").build().unwrap();
    ContainerWatch::of(monitoring.registry(), own, hierarchy.root()).unwrap()?.collect();
    Some(samples(&monitoring))
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}
