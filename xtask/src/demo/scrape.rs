//! The last scrape, as a file, and what Prometheus' linter says of it; and how long it is in each format.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use monitoring_tests::{exposition::Samples, promtool_check};
use reqwest::{Client, Response, header};

use super::DemoError;

/// Metrics whose names end in `_count` because the semantic conventions of OpenTelemetry call them so.
const COUNT_BY_CONVENTION: [&str; 3] =
    ["db_client_connection_count", "process_thread_count", "process_unix_file_descriptor_count"];

/// The formats by name, and what Prometheus asks for them with: the media type, and its parameters.
const FORMATS: [(&str, &str, &str); 3] = [
    ("OpenMetrics", "application/openmetrics-text", ";version=1.0.0"),
    ("protobuf", "application/vnd.google.protobuf", ";proto=io.prometheus.client.MetricFamily;encoding=delimited"),
    ("text", "text/plain", ";version=0.0.4"),
];

/// Scrapes `url` into `file` and has it checked. Returns the findings, all of them allowed.
pub(crate) async fn keep(url: &str, file: &Path) -> Result<Vec<String>, DemoError> {
    let scrape = async { scrape(url, "text/plain").await?.text().await };
    let text = scrape.await.map_err(DemoError::Scrape)?;
    fs::write(file, &text).map_err(|source| DemoError::Write { path: file.to_owned(), source })?;
    text.parse::<Samples>()?;

    let findings = promtool_check(&text)?;
    let forbidden: Vec<String> = findings.iter().filter(|finding| !is_allowed(finding)).cloned().collect();
    if forbidden.is_empty() { Ok(findings) } else { Err(DemoError::Promtool { findings: forbidden }) }
}

/// The bytes of a scrape in each format.
pub(crate) async fn lengths(url: &str) -> Result<BTreeMap<&'static str, usize>, DemoError> {
    let mut lengths = BTreeMap::new();
    for (name, media_type, parameters) in FORMATS {
        let answer = scrape(url, &format!("{media_type}{parameters}")).await.map_err(DemoError::Scrape)?;
        let found = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !found.is_some_and(|found| found.starts_with(media_type)) {
            return Err(DemoError::Format { asked: media_type, found: found.unwrap_or_default().to_owned() });
        }
        lengths.insert(name, answer.bytes().await.map_err(DemoError::Scrape)?.len());
    }
    Ok(lengths)
}

async fn scrape(url: &str, accept: &str) -> reqwest::Result<Response> {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    client.get(url).header(header::ACCEPT, accept).send().await?.error_for_status()
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
