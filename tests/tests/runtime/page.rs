//! The other expressions of the guide.

use monitoring_core::runtime::{self, Blocking, Resource, RuntimeConfig};
use tokio::runtime::Builder;

use super::{Watched, block};

#[test]
fn every_expression_of_the_page_is_understood_and_what_a_process_has_has_a_value() {
    let watched = Watched::start();
    let folder = std::env::temp_dir();
    runtime::observe(&watched.monitoring, &RuntimeConfig::new().disk(&folder)).unwrap();
    Resource::of(&watched.monitoring, "workers").unwrap().report(3.0, 10.0);
    let blocking = Blocking::of(&watched.monitoring).unwrap();
    let tokio = Builder::new_current_thread().build().unwrap();

    // Each begins after a line that says what it is.
    let commented = block("promql").split("# ").filter_map(|part| part.split_once('\n'));
    let expressions: Vec<&str> = commented.map(|(_, expression)| expression.trim()).collect();
    assert!(expressions.len() >= 8, "{expressions:?}");
    for expression in expressions {
        // What there is only in a container, and what is only counted in one that has a limit.
        if expression.contains("saas_container_") {
            watched.ask(expression);
            continue;
        }
        watched.until(&expression.replace("[5m]", "[4s]"), |found| {
            tokio.block_on(async { blocking.spawn(|| ()).await.unwrap() });
            found.len() == 1 && found.iter().all(|sample| sample["value"][1] != "NaN")
        });
    }
    let share = watched.ask("saas_resource_usage / saas_resource_limit");
    assert_eq!(share[0]["value"][1], "0.3");
    assert_eq!(share[0]["metric"]["tenant"], "__none__");
    // Prometheus' own linter finds fault with two names that OpenTelemetry has given, and with no other.
    let findings = monitoring_tests::promtool_check(&watched.monitoring.render()).unwrap();
    let ours =
        ["process_", "saas_tokio_", "saas_container_", "system_filesystem_", "saas_filesystem_", "saas_resource_"];
    let ours: Vec<_> = findings.iter().filter(|finding| ours.iter().any(|name| finding.starts_with(name))).collect();
    let given = ["process_thread_count ", "process_unix_file_descriptor_count "];
    assert!(ours.iter().all(|finding| given.iter().any(|name| finding.starts_with(name))), "{ours:?}");
}
