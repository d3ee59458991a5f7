//! Installed before there is a Tokio runtime, which is attached when there is one.

use monitoring_core::runtime::{self, MeasurePolls, ObserveError, Resource, RuntimeConfig, spawn_blocking};
use monitoring_core::{InstallError, Monitoring};

#[test]
fn a_monitoring_that_is_installed_looks_at_its_process_and_at_the_runtime_that_comes_later() {
    let monitoring = Monitoring::builder("test").runtime(RuntimeConfig::new()).install().unwrap();
    assert!(!monitoring.render().contains("saas_tokio_workers{"));
    #[cfg(target_os = "linux")]
    assert!(monitoring.render().contains("process_memory_usage_bytes "));
    let error = runtime::observe(&monitoring, &RuntimeConfig::new()).unwrap_err();
    assert_eq!(InstallError::from(error), InstallError::Runtime(ObserveError::AlreadyObserved));

    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).name("late").build().unwrap();
    runtime::attach(&monitoring, tokio.handle()).unwrap();
    Resource::named("workers").report(1.0, 2.0);
    let sum = tokio.block_on(async { spawn_blocking(|| 3).await.unwrap() + async { 4 }.measure_polls().await });
    assert_eq!(sum, 7);
    let text = monitoring.render();
    for line in [
        r#"saas_tokio_workers{runtime="late"} 1"#,
        r#"saas_tokio_long_polls_total 0"#,
        r#"saas_resource_limit{tenant="__none__",resource="workers"} 2"#,
        "saas_tokio_blocking_wait_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
