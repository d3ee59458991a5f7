//! A real Prometheus that scrapes the metrics' listener answers queries with the values of the store, in each format.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::Response;
use axum::routing::get;
use monitoring_core::{Counter, Gauge, Histogram, Monitoring, TenantCounter, TenantHistogram};
use monitoring_tests::exposition::{Samples, Series};
use monitoring_tests::servers::{Prometheus, Target};
use serde_json::Value;

use super::expected::normal;
use super::metrics::{DURATION, LEVEL, PLATFORM, Route, SIZE, TENANTS, tenant};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// Label values that are hard to carry.
const TEXTS: &[&str] = &[
    "/invoices/{id}",
    "two\nlines",
    "\"quoted\"",
    "back\\slash\\n",
    "# EOF",
    "a # b",
    "nul\0nul",
    "\u{202e}right to left",
    "e\u{301}",
    " around ",
    "日本",
    "\"} 1\nx{y=\"",
];

fn monitoring() -> Monitoring {
    let monitoring = Monitoring::builder("scraped").metrics_address(([127, 0, 0, 1], 0).into()).build().unwrap();
    let registry = monitoring.registry();
    let platform: Counter<Route> = registry.counter(&PLATFORM).unwrap();
    let of_tenants: TenantCounter<Route> = registry.tenant_counter(&TENANTS).unwrap();
    let durations: TenantHistogram<Route> = registry.tenant_histogram(&DURATION).unwrap();
    let sizes: Histogram<Route, u64> = registry.histogram(&SIZE).unwrap();
    let levels: Gauge<Route> = registry.gauge(&LEVEL).unwrap();
    for (text, number) in TEXTS.iter().zip(1..) {
        let labels = Route::new(&monitoring, text);
        platform.add(labels, u64::MAX / number);
        levels.set(labels, -0.1 / number as f64);
        sizes.record(labels, 1 << (number * 3));
        for id in ["acme", "zeta"] {
            let tenant = tenant(&monitoring, id);
            of_tenants.add(tenant, labels, number);
            durations.record(tenant, labels, Duration::from_nanos(7_u64.pow(number as u32)));
        }
    }
    monitoring
}

/// Between Prometheus and the listener: it notes what is asked for and what is answered, and can ask for something else.
#[derive(Clone)]
struct Wire {
    listener: SocketAddr,
    /// What is asked for; what Prometheus asks for if there is none.
    accept: Option<&'static str>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Wire {
    fn new(listener: SocketAddr, accept: Option<&'static str>) -> Self {
        Self { listener, accept, seen: Arc::default() }
    }

    /// Where Prometheus is to scrape.
    async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/metrics", get(Self::forward)).with_state(self.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    }

    async fn forward(State(wire): State<Self>, mut headers: HeaderMap) -> Response {
        let asked = headers.get(ACCEPT).map_or("", |value| value.to_str().unwrap()).to_owned();
        if let Some(accept) = wire.accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        let url = format!("http://{}/metrics", wire.listener);
        let answer = reqwest::Client::new().get(url).headers(headers).send().await.unwrap();
        let answered = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        wire.seen.lock().unwrap().push((asked, answered));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            let value = answer.headers().get(&name).cloned();
            response.headers_mut().extend(value.map(|value| (name, value)));
        }
        *response.body_mut() = Body::from(answer.bytes().await.unwrap());
        response
    }

    /// What Prometheus has asked for, and what it was answered, the last time.
    fn last(&self) -> (String, String) {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

pub(crate) fn target(job: &str, address: SocketAddr) -> Target {
    Target { job: job.to_owned(), service: "billing".to_owned(), address }
}

/// What Prometheus has of a job, without what it adds about the scrape.
async fn scraped(prometheus: &Prometheus, job: &str) -> BTreeMap<Series, f64> {
    let url = format!("{}/api/v1/query?query=%7Bjob=%22{job}%22%7D", prometheus.url());
    let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(|result| {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(result["metric"].clone()).unwrap();
        let added = ["job", "instance", "service"].map(|label| labels.remove(label));
        assert!(added.iter().all(Option::is_some), "{result}");
        let name = labels.remove("__name__").unwrap();
        let value = result["value"][1].as_str().unwrap_or_else(|| panic!("{result}"));
        (Series { name, labels }, value.parse().unwrap())
    });
    let about_the_scrape = |name: &str| name == "up" || name.starts_with("scrape_");
    normal(series.filter(|(series, _): &(Series, f64)| !about_the_scrape(&series.name)))
}

/// Waits until Prometheus has exactly what the store has.
async fn check(prometheus: &mut Prometheus, job: &str, monitoring: &Monitoring) {
    let started = Instant::now();
    loop {
        let found = scraped(prometheus, job).await;
        // Read after it, because a scrape may change what the store says of itself.
        let samples: Samples = monitoring.render().parse().unwrap();
        let expected = normal(samples.iter().map(|(series, value)| (series.clone(), value)));
        if found == expected {
            return;
        }
        if started.elapsed() > DEADLINE {
            let log = prometheus.process().log_tail();
            let of = |one: &BTreeMap<Series, f64>, other: &BTreeMap<Series, f64>| {
                let differing = one.iter().filter(|(series, value)| other.get(series) != Some(value));
                differing.map(|(series, value)| format!("  {series} {value}\n")).collect::<String>()
            };
            let (store, theirs) = (of(&expected, &found), of(&found, &expected));
            panic!("{job}: these differ.\nthe store:\n{store}Prometheus:\n{theirs}{log}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_the_values_of_the_store_in_openmetrics_and_in_text() {
    let monitoring = monitoring();
    let listener = monitoring_axum::listen(&monitoring).await.unwrap().address();
    let preferred = Wire::new(listener, None);
    let text = Wire::new(listener, Some("text/plain;version=0.0.4"));
    let targets =
        [target("direct", listener), target("preferred", preferred.serve().await), target("text", text.serve().await)];
    let mut prometheus = Prometheus::start(&targets, INTERVAL).unwrap();
    for job in ["direct", "preferred", "text"] {
        check(&mut prometheus, job, &monitoring).await;
    }
    let (asked, answered) = preferred.last();
    assert!(answered.starts_with("application/openmetrics-text;"), "{asked} was answered by {answered}");
    let (_, answered) = text.last();
    assert!(answered.starts_with("text/plain;"), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_the_values_of_the_store_in_protobuf() {
    let monitoring = monitoring();
    let listener = monitoring_axum::listen(&monitoring).await.unwrap().address();
    let wire = Wire::new(listener, None);
    let targets = [target("direct", listener), target("wire", wire.serve().await)];
    let features = ["native-histograms", "exemplar-storage"];
    let mut prometheus = Prometheus::start_with(&features, &targets, INTERVAL).unwrap();
    for job in ["direct", "wire"] {
        check(&mut prometheus, job, &monitoring).await;
    }
    let (asked, answered) = wire.last();
    assert!(answered.starts_with("application/vnd.google.protobuf;"), "{asked} was answered by {answered}");
}
