//! `/readyz` and `/livez`, as everybody and as operators see them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use monitoring_core::Monitoring;
use monitoring_core::health::{Health, Reason, Status};
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::once;

const TOKEN: &str = "ahz6Eex7ooJ3quai";

struct Bench {
    monitoring: Monitoring,
    is_up: Arc<AtomicBool>,
    application: SocketAddr,
    client: Client,
}

impl Bench {
    async fn start() -> Self {
        let builder = Monitoring::builder("billing").metrics_token(TOKEN);
        let monitoring = builder.metrics_address(([127, 0, 0, 1], 0).into()).build().unwrap();
        let is_up = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&is_up);
        let ledger = move || {
            let is_up = asked.load(Ordering::Relaxed);
            async move { if is_up { Ok(()) } else { Err(Reason::Unavailable.because("no leader is elected")) } }
        };
        Health::builder(&monitoring)
            .check("ledger", ledger)
            .critical()
            .every(Duration::from_millis(20))
            .time_out(Duration::from_secs(5))
            .check("mail", || async { Err::<(), _>(Reason::ConnectionRefused) })
            .start()
            .unwrap();
        let app: Router = Router::new().route("/", get(|| async {})).merge(monitoring_axum::routes(&monitoring));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let application = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { monitoring, is_up, application, client: Client::new() }
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>) -> Response {
        let request = self.client.request(method, format!("http://{}{path}", self.application));
        let request = match token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        response
    }

    async fn ledger_is(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
        match is_up {
            true => once(&self.monitoring, Status::Up, None).await,
            false => once(&self.monitoring, Status::Down, Some(Reason::Unavailable)).await,
        };
    }
}

#[tokio::test]
async fn everybody_sees_whether_the_service_is_ready_and_nothing_else() {
    let bench = Bench::start().await;
    for (is_up, status) in [(true, 200), (false, 503), (true, 200)] {
        bench.ledger_is(is_up).await;
        for token in [None, Some("not-the-token-of-this")] {
            for method in [Method::GET, Method::HEAD] {
                let response = bench.ask(method, "/readyz", token).await;
                assert_eq!(response.status(), status);
                assert!(!response.headers().contains_key(CONTENT_TYPE));
                assert_eq!(response.text().await.unwrap(), "");
            }
        }
    }
}

#[tokio::test]
async fn operators_see_the_reasons_with_the_token_and_on_the_metrics_listener() {
    let bench = Bench::start().await;
    bench.ledger_is(true).await;
    bench.ledger_is(false).await;
    let listener = monitoring_axum::listen(&bench.monitoring).await.unwrap();
    let inside = bench.client.get(format!("http://{}/readyz", listener.address())).send().await.unwrap();
    for response in [bench.ask(Method::GET, "/readyz", Some(TOKEN)).await, inside] {
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!((&page["status"], &page["service"]), (&"dependency_down".into(), &"billing".into()));
        let ledger = &page["checks"][0];
        assert_eq!((&ledger["name"], &ledger["status"]), (&"ledger".into(), &"down".into()));
        assert_eq!((&ledger["critical"], &ledger["reason"]), (&true.into(), &"unavailable".into()));
        assert_eq!(ledger["detail"], "no leader is elected");
        assert!(ledger["failures"].as_u64().unwrap() >= 3, "{page}");
        assert!(ledger["since"].as_u64().unwrap() > 1_700_000_000, "{page}");
        assert!(ledger["age_seconds"].as_f64().unwrap() < 60.0 && ledger["duration_seconds"].is_f64(), "{page}");
        assert_eq!(page["checks"][1]["critical"], false);
    }
    bench.ledger_is(true).await;
    let response = bench.ask(Method::GET, "/readyz", Some(TOKEN)).await;
    assert_eq!(response.status(), 200);
    let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let ledger = &page["checks"][0];
    assert_eq!((&page["status"], &ledger["status"]), (&"ready".into(), &"up".into()));
    assert!(ledger.get("reason").is_none(), "{page}");
    assert_eq!(ledger["last_failure"]["reason"], "unavailable");
}

#[tokio::test]
async fn a_head_request_has_the_headers_of_the_page_without_it() {
    let bench = Bench::start().await;
    bench.ledger_is(true).await;
    let response = bench.ask(Method::HEAD, "/readyz", Some(TOKEN)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
        (200, &"application/json".parse().unwrap())
    );
    assert!(response.headers()[CONTENT_LENGTH].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_process_is_alive_whatever_its_dependencies_are() {
    let bench = Bench::start().await;
    bench.ledger_is(false).await;
    assert_eq!(bench.ask(Method::GET, "/livez", None).await.status(), 200);
    bench.monitoring.begin_draining();
    assert_eq!(bench.ask(Method::HEAD, "/livez", None).await.status(), 200);
}

#[tokio::test]
async fn a_service_that_drains_is_not_ready_and_says_so_before_all_else() {
    let bench = Bench::start().await;
    bench.ledger_is(false).await;
    bench.monitoring.begin_draining();
    bench.ledger_is(true).await;
    assert_eq!(bench.ask(Method::GET, "/readyz", None).await.status(), 503);
    let response = bench.ask(Method::GET, "/readyz", Some(TOKEN)).await;
    assert_eq!(response.status(), 503);
    assert!(response.text().await.unwrap().contains(r#""status":"draining""#));
}
