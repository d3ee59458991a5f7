//! The last scrape, as a file, and what Prometheus' linter says of it.

use std::{fs, path::Path, time::Duration};

use monitoring_tests::{exposition::Samples, promtool_check};

use super::DemoError;

/// Metrics whose names end in `_count` because the semantic conventions of OpenTelemetry call them so.
const COUNT_BY_CONVENTION: [&str; 3] =
    ["db_client_connection_count", "process_thread_count", "process_unix_file_descriptor_count"];

/// Scrapes `url` into `file` and has it checked. Returns the findings, all of them allowed.
pub(crate) async fn keep(url: &str, file: &Path) -> Result<Vec<String>, DemoError> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
    let scrape = async { client?.get(url).send().await?.error_for_status()?.text().await };
    let text = scrape.await.map_err(DemoError::Scrape)?;
    fs::write(file, &text).map_err(|source| DemoError::Write { path: file.to_owned(), source })?;
    text.parse::<Samples>()?;

    let findings = promtool_check(&text)?;
    let forbidden: Vec<String> = findings.iter().filter(|finding| !is_allowed(finding)).cloned().collect();
    if forbidden.is_empty() { Ok(findings) } else { Err(DemoError::Promtool { findings: forbidden }) }
}

fn is_allowed(finding: &str) -> bool {
    finding.split_once(' ').is_some_and(|(metric, complaint)| {
        COUNT_BY_CONVENTION.contains(&metric) && complaint.ends_with("should not have \"_count\" suffix")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_suffix_of_the_three_conventional_names_is_allowed() {
        let complaint = "non-histogram and non-summary metrics should not have \"_count\" suffix";
        for metric in COUNT_BY_CONVENTION {
            assert!(is_allowed(&format!("{metric} {complaint}")));
            assert!(!is_allowed(&format!("{metric} no help text")));
        }
        assert!(!is_allowed(&format!("login_count {complaint}")));
        assert!(!is_allowed("error while linting: text format parsing error in line 1"));
    }
}
