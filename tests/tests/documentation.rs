//! The guide tells the truth about the catalogue.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use monitoring_core::Detail;
use monitoring_core::catalogue::{ALL, Descriptor};

const PAGE: &str = include_str!("../../docs/src/metrics.md");

/// The row of a metric, and its type and labels as the catalogue has them.
fn rows() -> impl Iterator<Item = (String, &'static Descriptor)> {
    ALL.iter().map(|descriptor| (descriptor.prometheus_name(), descriptor))
}

#[test]
fn every_metric_is_on_the_page_with_its_labels() {
    for (name, descriptor) in rows() {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
        let labels = descriptor.label_names().iter().map(|label| label.replace('.', "_"));
        let tenant = descriptor.is_per_tenant().then(|| "tenant".to_owned());
        let expected: Vec<String> = tenant.into_iter().chain(labels).map(|label| format!("`{label}`")).collect();
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.get(2).copied().unwrap_or_default(), expected.join(", "), "the labels of {name}");
    }
}

#[test]
fn the_page_says_which_metrics_need_less_than_full_detail() {
    let begin = PAGE.find("Tenants of `Detail::Summary` are named in these too").unwrap();
    let said = PAGE.get(begin..).and_then(|rest| rest.split("## ").next()).unwrap_or_default();
    for (name, descriptor) in rows().filter(|(_, descriptor)| descriptor.is_per_tenant()) {
        let needs_less = descriptor.needed_detail() < Detail::Full;
        assert_eq!(said.contains(&format!("`{name}`")), needs_less, "{name}");
    }
}

#[test]
fn every_metric_on_the_page_is_in_the_catalogue() {
    let names: Vec<String> = rows().map(|(name, _)| name).collect();
    let listed = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let strangers: Vec<&str> = listed.filter(|listed| !names.iter().any(|name| name == listed)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}
