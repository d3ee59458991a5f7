//! A secret goes through everything there is, and is told nowhere.
//!
//! ```text
//! seen.rs     the canary, and the texts it must not be in
//! log.rs      all that is logged
//! peer.rs     the service that is called: it keeps what it was told
//! service.rs  the service that is measured, of all our crates together
//! work.rs     what it does for a request: statements, commands, calls, jobs
//! probes.rs   its health checks
//! ```
//!
//! Each place where the canary is put has a control: that it did get to the database, to the peer, into the error. Else a
//! test in which nothing happened would find nothing either.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

mod log;
mod peer;
mod probes;
mod seen;
mod service;
mod work;

use std::time::{Duration, Instant};

use axum::http::{HeaderName, Method};
use monitoring_core::Format;
use reqwest::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, USER_AGENT};
use reqwest::{Client, Response};
use tracing_subscriber::layer::SubscriberExt;

use crate::log::Log;
use crate::seen::{CANARY, Seen, canary, is_in};
use crate::service::{Service, TENANT_HEADER};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A trace that is well-formed; what comes beside it in `tracestate` and `baggage` is not ours.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_told_nowhere_wherever_it_was_put() {
    let log = Log::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone())).unwrap();
    tracing::trace!(target: "monitoring::test", heard = "the log works");
    tracing::trace_span!(target: "monitoring::test", "a span", more = tracing::field::Empty)
        .record("more", "and its fields");
    tracing::trace!(secret = canary("log"));

    let seen = Seen::default();
    let service = Service::start(&seen).await;
    let client = Client::builder().no_proxy().build().unwrap();

    let answer = work_is_done(&service, &client).await;
    assert!(answer.contains(CANARY), "the service works with what it must not tell: {answer}");
    odd_requests(&service, &client).await;
    pages(&service, &client).await;
    assert!(is_in(service.peer.received().as_bytes()));
    let monitoring = service.monitoring.clone();
    service.health_is_known(&seen).await;

    expositions(&service, &client, &seen).await;
    let (ours, theirs) = (log.ours(), log.theirs());
    assert!(theirs.contains(&canary("log")));
    for expected in [
        "the log works",
        "a span",
        "and its fields",
        "slow request",
        "slow statement",
        "plan of a slow",
        "a dependency is down",
    ] {
        assert!(ours.contains(expected), "{expected}: {ours}");
    }
    seen.bytes("the log", ours);
    seen.debug("Monitoring", &monitoring);
    let leaks = seen.leaks();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// A request that carries the canary everywhere, and is answered with it.
async fn work_is_done(service: &Service, client: &Client) -> String {
    let url = service.url(&format!("/work/{}?token={}#{}", canary("path"), canary("query"), canary("fragment")));
    let answer = client
        .post(url)
        .header(HOST, "acme.shop.example")
        .header(USER_AGENT, canary("user-agent"))
        .header(COOKIE, format!("session={}", canary("cookie")))
        .header(AUTHORIZATION, format!("Bearer {}", canary("authorization")))
        .header(HeaderName::try_from(canary("header-name")).unwrap(), canary("header"))
        .header("traceparent", TRACEPARENT)
        .header("tracestate", format!("{}={}", canary("state"), canary("state-value")))
        .header("baggage", format!("user={}", canary("baggage")))
        .body(canary("request-body"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(is_in(answer.headers()["x-answer"].as_bytes()));
    assert!(answer.headers().contains_key("server-timing"));
    for header in ["server-timing", "traceparent"] {
        assert!(answer.headers().get(header).is_none_or(|value| !is_in(value.as_bytes())));
    }
    answer.text().await.unwrap()
}

/// Requests of strangers, and requests that fail.
async fn odd_requests(service: &Service, client: &Client) {
    let hosts = [
        canary("tenant") + ".shop.example",
        format!("{CANARY}.shop.example"),
        format!("a.{CANARY}.shop.example:1"),
        CANARY.to_owned(),
        format!("{}.shop.example", CANARY.repeat(20)),
    ];
    for host in hosts {
        let request = client.get(service.url("/small")).header(HOST, host).header("traceparent", canary("trace"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let odd = [
        ("GET", format!("/{}", canary("unmatched")), 404),
        (CANARY, "/small".to_owned(), 405),
        ("GET", format!("/panics/{CANARY}"), 500),
        ("GET", format!("/refused/{CANARY}"), 429),
        ("GET", format!("/small/{CANARY}%00%0a%22"), 404),
    ];
    for (method, path, status) in odd {
        let request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), service.url(&path));
        assert_eq!(request.header(HOST, "acme.shop.example").send().await.unwrap().status(), status, "{path}");
    }
    let broken = client.get(service.url("/breaks")).send().await;
    let body = match broken {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    assert!(body.is_err(), "its body has failed");
}

/// What browsers report.
async fn pages(service: &Service, client: &Client) {
    let send = async |body: String| {
        let request = client.post(service.url("/vitals.js")).header(HOST, "acme.shop.example");
        request.header("referer", canary("referer")).body(body).send().await.unwrap().status()
    };
    assert_eq!(send(format!(r#"{{"p":"/{CANARY}/x","l":10,"e":1,"r":0}}"#)).await, 204);
    assert_eq!(send(format!(r#"{{"p":"/pages/{CANARY}","l":10,"e":1,"r":0}}"#)).await, 204);
    assert_eq!(send(format!(r#"{{"p":"/","l":10,"e":1,"r":0,"{CANARY}":1}}"#)).await, 400);
    assert_eq!(send(canary("no report")).await, 400);
}

/// All that is exposed, by the routes and by hand.
async fn expositions(service: &Service, client: &Client, seen: &Seen) {
    let get = async |path: &str, accept: &str, token: &str| -> Response {
        let request = client.get(service.url(path)).header(ACCEPT, accept).header(TENANT_HEADER, "acme");
        request.bearer_auth(token).send().await.unwrap()
    };
    let token = service.token();
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        for path in ["/metrics", "/tenant/metrics"] {
            let deadline = Instant::now() + DEADLINE;
            // A scrape is the answer to those, too, that come within half a second of it.
            let (content, bytes) = loop {
                let answer = get(path, format.content_type(), &token).await;
                assert_eq!(answer.status(), 200, "{path}");
                let content = answer.headers()["content-type"].to_str().unwrap().to_owned();
                let bytes = answer.bytes().await.unwrap();
                if bytes.windows(4).any(|window| window == b"acme") {
                    break (content, bytes);
                }
                assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&bytes));
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(content.split(';').next(), format.content_type().split(';').next());
            for expected in ["saas_tenant_requests", "saas_tenant_db_time", "saas_cache_requests", "saas_tenant_dep"] {
                assert!(String::from_utf8_lossy(&bytes).contains(expected), "{path} has no {expected}");
            }
            seen.bytes(format!("{path} as {content}"), bytes);
        }
        let acme = service.monitoring.tenants().lookup("acme");
        seen.debug("Exposition", service.monitoring.exposition_of(acme, format));
        seen.debug("Exposition", service.monitoring.exposition_in(format));
    }
    seen.bytes("render", service.monitoring.render());
    let wrong = get("/metrics", "*/*", &canary("wrong-token")).await;
    assert_eq!(wrong.status(), 401);
    seen.bytes("the answer to a wrong token", format!("{:?}", wrong.headers()));

    let page = get("/readyz", "*/*", &token).await;
    assert_eq!(page.status(), 503);
    let page = page.text().await.unwrap();
    for reason in ["authentication_failed", "panicked", "connection_refused", "unexpected_status"] {
        assert!(page.contains(reason), "{page}");
    }
    seen.bytes("/readyz", page);
    seen.debug("HealthReport", service.monitoring.health_report());
    seen.debug("Registry", service.monitoring.registry());
    seen.debug("TenantRegistry", service.monitoring.tenants());
}
