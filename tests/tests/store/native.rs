//! A real Prometheus reads native histograms whose buckets hold the values that were recorded.

use std::time::{Duration, Instant};

use monitoring_core::{Monitoring, TenantHistogram};
use monitoring_tests::servers::Prometheus;
use serde_json::Value;

use super::metrics::{NATIVE, Route, tenant};
use super::prometheus::{DEADLINE, INTERVAL, target};

/// A bucket as Prometheus shows it; the lower bound belongs to it if both do.
#[derive(Debug)]
struct Bucket {
    holds_lower: bool,
    lower: f64,
    upper: f64,
    count: f64,
}

impl Bucket {
    fn new(shown: &Value) -> Self {
        let number = |place: usize| shown[place].as_str().unwrap().parse().unwrap();
        // 0: only the upper bound belongs to the bucket, 3: both do.
        let rule = shown[0].as_u64().unwrap();
        assert!([0, 3].contains(&rule), "{shown}");
        Self { holds_lower: rule == 3, lower: number(1), upper: number(2), count: number(3) }
    }

    fn holds(&self, value: f64) -> bool {
        (value > self.lower || self.holds_lower && value == self.lower) && value <= self.upper
    }
}

/// The histogram that Prometheus has of a tenant.
async fn histogram(prometheus: &mut Prometheus, tenant: &str, count: usize) -> Value {
    let url = format!("{}/api/v1/query?query=truth_native_seconds%7Btenant=%22{tenant}%22%7D", prometheus.url());
    let started = Instant::now();
    loop {
        let answer: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        let histogram = &answer["data"]["result"][0]["histogram"][1];
        if histogram["count"].as_str().and_then(|found| found.parse().ok()) == Some(count) {
            return histogram.clone();
        }
        let log = prometheus.process().log_tail();
        assert!(started.elapsed() < DEADLINE, "there are not {count} values: {answer}\n{}\n{log}", prometheus.url());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_each_value_of_a_native_histogram_in_its_bucket() {
    let monitoring = Monitoring::builder("native").metrics_address(([127, 0, 0, 1], 0).into()).build().unwrap();
    let durations: TenantHistogram<Route> = monitoring.registry().tenant_histogram(&NATIVE).unwrap();
    let route = Route::new(&monitoring, "/a");
    let recorded = [
        // Zero, neighbours with gaps between them, and powers of two, which are bounds of buckets.
        (
            "wide",
            vec![0, 0, 1, 7, 900, 1_000_000, 1_010_000, 500_000_000, 1_000_000_000, 2_000_000_000, 3_000_000_000_000],
        ),
        ("narrow", (0..500).map(|number| 100_000_000 + number * 1_000_000).collect()),
        ("zero", vec![0; 3]),
    ];
    for (id, nanoseconds) in &recorded {
        let tenant = tenant(&monitoring, id);
        nanoseconds.iter().for_each(|value| durations.record(tenant, route, Duration::from_nanos(*value)));
    }

    let listener = monitoring_axum::listen(&monitoring).await.unwrap().address();
    let features = ["native-histograms", "exemplar-storage"];
    let mut prometheus = Prometheus::start_with(&features, &[target("native", listener)], INTERVAL).unwrap();
    for (id, nanoseconds) in recorded {
        let histogram = histogram(&mut prometheus, id, nanoseconds.len()).await;
        let sum: u64 = nanoseconds.iter().sum();
        let found: f64 = histogram["sum"].as_str().unwrap().parse().unwrap();
        assert_eq!(found, sum as f64 / 1e9, "{id}");

        let shown = histogram["buckets"].as_array().unwrap();
        let buckets: Vec<_> = shown.iter().map(Bucket::new).filter(|bucket| bucket.count > 0.0).collect();
        for bucket in &buckets {
            let values = nanoseconds.iter().filter(|value| bucket.holds(**value as f64 / 1e9)).count();
            assert_eq!(bucket.count, values as f64, "{id}: {bucket:?}");
            assert!(bucket.upper <= bucket.lower * 1.1 || bucket.upper == 0.0, "{id}: {bucket:?} is wide");
        }
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<f64>(), nanoseconds.len() as f64, "{id}");
    }
}
