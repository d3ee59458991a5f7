//! Exemplars are read as they were recorded: by Python, and by a real Prometheus in both formats that carry them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use monitoring_core::{Exemplar, Format, Monitoring, TenantHistogram};
use monitoring_tests::exposition::Series;
use monitoring_tests::prometheus_client::{self, Parser};
use monitoring_tests::servers::Prometheus;
use serde_json::Value;

use super::expected::{normal, read};
use super::metrics::{DURATION, Route, tenant};
use super::prometheus::{DEADLINE, INTERVAL, target};

/// The trace, the span and the value of an exemplar, by the series of its bucket.
type Exemplars = BTreeMap<Series, (String, String, f64)>;

/// Records values whose exemplars are numbered, and returns what must be kept: the last one of each bucket.
fn record(monitoring: &Monitoring) -> Exemplars {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let source = || {
        let number = NUMBER.load(Ordering::Relaxed);
        // Every fifth value is recorded in a span that is not kept.
        let trace_id = (u128::from(number) << 64 | 0xabcd).to_be_bytes();
        (!number.is_multiple_of(5)).then(|| Exemplar { trace_id, span_id: number.to_be_bytes() })
    };
    assert!(monitoring.registry().exemplars_from(source));
    let durations: TenantHistogram<Route> = monitoring.registry().tenant_histogram(&DURATION).unwrap();
    let mut kept = Exemplars::new();
    for id in ["acme", "zeta"] {
        let tenant = tenant(monitoring, id);
        for route in ["/a", "two\nlines # {\"}"] {
            for microseconds in [1, 500, 5_000, 50_000, 600_000, 5_000_000, 50_000_000, 700] {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
                durations.record(tenant, Route::new(monitoring, route), Duration::from_micros(microseconds));
                let value = microseconds as f64 / 1e6;
                let bound = DURATION.buckets().iter().find(|bound| value <= **bound);
                let bound = bound.map_or_else(|| "inf".to_owned(), f64::to_string);
                let labels = [("tenant", id), ("route", route), ("le", &bound)];
                if !number.is_multiple_of(5) {
                    let trace = format!("{number:016x}000000000000abcd");
                    let series = Series::new("truth_duration_seconds_bucket", &labels);
                    kept.insert(series, (trace, format!("{number:016x}"), value));
                }
            }
        }
    }
    kept
}

/// What Prometheus has of a job.
async fn scraped(prometheus: &Prometheus, job: &str) -> Exemplars {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let query = format!("query=truth_duration_seconds_bucket%7Bjob=%22{job}%22%7D");
    let url = format!("{}/api/v1/query_exemplars?{query}&start={}&end={}", prometheus.url(), now - 600, now + 60);
    let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let mut found = Exemplars::new();
    for series in answer["data"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        let labels: BTreeMap<String, String> = serde_json::from_value(series["seriesLabels"].clone()).unwrap();
        let own = labels.into_iter().filter(|(name, _)| !["__name__", "job", "instance", "service"].contains(&&**name));
        let of_bucket = Series { name: "truth_duration_seconds_bucket".to_owned(), labels: own.collect() };
        let (of_bucket, _) = normal([(of_bucket, 0.0)].into_iter()).pop_first().unwrap();
        for exemplar in series["exemplars"].as_array().unwrap() {
            let label = |name: &str| exemplar["labels"][name].as_str().unwrap().to_owned();
            let value = exemplar["value"].as_str().unwrap().parse().unwrap();
            let before = found.insert(of_bucket.clone(), (label("trace_id"), label("span_id"), value));
            assert_eq!(before, None, "each is told once");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_exemplar_of_each_bucket_is_read_by_python_and_by_prometheus_in_both_formats() {
    let monitoring = Monitoring::builder("exemplars").metrics_address(([127, 0, 0, 1], 0).into()).build().unwrap();
    let expected = record(&monitoring);

    let open_metrics = read(&monitoring, Format::OpenMetrics);
    let families = prometheus_client::read(&[(Parser::OpenMetrics, &open_metrics)]).unwrap().remove(0).unwrap();
    let mut found = Exemplars::new();
    for sample in families.into_iter().flat_map(|family| family.samples) {
        if let Some(exemplar) = sample.exemplar {
            let series = Series { name: sample.name, labels: sample.labels };
            let (series, _) = normal([(series, 0.0)].into_iter()).pop_first().unwrap();
            let label = |name: &str| exemplar.labels[name].clone();
            found.insert(series, (label("trace_id"), label("span_id"), exemplar.value));
        }
    }
    assert_eq!(found, expected);

    let listener = monitoring_axum::listen(&monitoring).await.unwrap().address();
    // The first asks for OpenMetrics, the second for protobuf. Each takes five seconds to find its target, so both start now.
    let features = [["exemplar-storage"].as_slice(), &["exemplar-storage", "native-histograms"]];
    let targets = [target("exemplars", listener)];
    let servers = features.map(|features| Prometheus::start_with(features, &targets, INTERVAL).unwrap());
    for (mut prometheus, features) in servers.into_iter().zip(features) {
        let started = Instant::now();
        loop {
            let found = scraped(&prometheus, "exemplars").await;
            if found == expected {
                break;
            }
            let log = prometheus.process().log_tail();
            assert!(started.elapsed() < DEADLINE, "{features:?}: {found:#?}\nexpected: {expected:#?}\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
