//! A job's name beside the label `job` that Prometheus has of its own.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use monitoring_tests::servers::{Prometheus, Target};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::set_up;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_job_stands_beside_that_of_the_scrape() {
    let (monitoring, jobs, [acme, _]) = set_up();
    jobs.job("invoice-export").tenant(acme).run(async {}).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(async move || monitoring.render()));
    tokio::spawn(axum::serve(listener, router).into_future());
    let target = Target { job: "workers".to_owned(), service: "billing".to_owned(), address };
    let server = Prometheus::start(&[target], Duration::from_millis(200)).unwrap();

    let url = format!("{}/api/v1/query?query=saas_job_runs_total", server.url());
    let scraped = async {
        loop {
            let answer: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
            if let Some(result) = answer["data"]["result"].get(0) {
                return result.clone();
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let result = timeout(PATIENCE, scraped).await.unwrap();
    let label = |name: &str| result["metric"][name].as_str().unwrap_or_default();
    assert_eq!((label("job"), label("job_name")), ("workers", "invoice-export"), "{result}");
    assert_eq!((label("tenant"), label("outcome"), result["value"][1].as_str()), ("acme", "ok", Some("1")));
}
