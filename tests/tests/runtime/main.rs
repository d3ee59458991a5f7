//! The process and its Tokio runtime, as a real Prometheus sees them.
//!
//! ```text
//! blocked.rs   the alert RuntimeBlocked of the guide, provoked
//! page.rs      the other expressions of the guide
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the set-up of a test may panic as its test functions may"
)]

mod blocked;
mod page;

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_tests::servers::{Prometheus, Target};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// So long a test waits for what should happen soon.
const DEADLINE: Duration = Duration::from_secs(60);

const PAGE: &str = include_str!("../../../docs/src/runtime.md");

/// The first block of the page in that language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// A service whose metrics have a thread of their own, and a Prometheus that scrapes them.
struct Watched {
    monitoring: Monitoring,
    listener: Option<JoinHandle<()>>,
    prometheus: Prometheus,
    /// The test's own, apart from those that are watched.
    client: Runtime,
}

impl Watched {
    fn start() -> Self {
        let monitoring = Monitoring::builder("billing").metrics_address(([127, 0, 0, 1], 0).into()).build().unwrap();
        let (told, address) = std::sync::mpsc::channel();
        let listener = thread::spawn({
            let monitoring = monitoring.clone();
            move || {
                Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                    told.send(monitoring_axum::listen(&monitoring).await.unwrap().address()).unwrap();
                    monitoring.draining().await;
                    monitoring.shutdown(Duration::from_secs(5)).await.unwrap();
                });
            }
        });
        let target = Target { job: "billing".into(), service: "billing".into(), address: address.recv().unwrap() };
        let prometheus = Prometheus::start(&[target], Duration::from_millis(200)).unwrap();
        let client = Builder::new_current_thread().enable_all().build().unwrap();
        Self { monitoring, listener: Some(listener), prometheus, client }
    }

    /// What Prometheus answers, which must understand the expression.
    fn ask(&self, expression: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.prometheus.url().trim_end_matches('/'));
        let query = reqwest::Url::parse_with_params(&url, [("query", expression)]).unwrap();
        let body = self.client.block_on(async { reqwest::get(query).await.unwrap().text().await.unwrap() });
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn until(&self, expression: &str, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let found = self.ask(expression);
            if is_wanted(&found) {
                return found;
            }
            assert!(start.elapsed() < DEADLINE, "{expression}: {found:?}\n{}", self.monitoring.render());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let shutdown = self.client.block_on(self.monitoring.shutdown(Duration::from_secs(5)));
        if let Some(listener) = self.listener.take().filter(|_| shutdown.is_ok()) {
            let _ = listener.join();
        }
    }
}
