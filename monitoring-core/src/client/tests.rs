//! The layer around clients that are functions.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use monitoring_tests::exposition::Samples;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use super::{ClientLayer, Dependency, layer};
use crate::propagation::TraceContext;
use crate::{Monitoring, Tenant, TenantFutureExt, Tier};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn calls(monitoring: &Monitoring) -> ClientLayer {
    layer()
        .dependency(Dependency::new("auth0").host("*.auth0.com"))
        .dependency(Dependency::new("ledger").host("ledger.internal:8080").trusted())
        .monitoring(monitoring)
        .unwrap()
}

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).unwrap()
}

/// The `dependency server_address method status error_type` of all calls.
fn recorded(monitoring: &Monitoring) -> Vec<String> {
    let names = ["dependency", "server_address", "http_request_method", "http_response_status_code", "error_type"];
    let samples = samples(monitoring);
    let counts = samples.iter().filter(|(series, _)| series.name == "http_client_request_duration_seconds_count");
    let mut calls: Vec<String> = counts
        .flat_map(|(series, count)| {
            let labels = names.map(|name| series.labels.get(name).cloned().unwrap_or_else(|| "-".to_owned()));
            std::iter::repeat_n(labels.join(" "), count as usize)
        })
        .collect();
    calls.sort();
    calls
}

#[tokio::test]
async fn a_call_is_told_by_its_dependency_and_no_stranger_makes_a_series() {
    let monitoring = monitoring();
    let mut client = calls(&monitoring).layer(service_fn(async |request: Request<()>| {
        let status = if request.uri().path() == "/missing" { 404 } else { 200 };
        Ok::<_, BoxError>(Response::builder().status(status).body(()).unwrap())
    }));
    for url in [
        "https://acme.eu.auth0.com/userinfo?token=canary",
        "http://ledger.internal:8080/missing",
        "http://ledger.internal:9090/",
        "https://canary.example/",
        "http://ledger.internal:8080@canary.example/",
        "/no/host",
    ] {
        client.ready().await.unwrap().call(get(url)).await.unwrap();
    }
    let odd = Request::builder().method("CANARY").uri("http://canary.example/").body(()).unwrap();
    client.ready().await.unwrap().call(odd).await.unwrap();
    assert_eq!(
        recorded(&monitoring),
        [
            "_OTHER _OTHER GET 200 -",
            "_OTHER _OTHER GET 200 -",
            "_OTHER _OTHER GET 200 -",
            "_OTHER _OTHER GET 200 -",
            "_OTHER _OTHER _OTHER 200 -",
            "auth0 *.auth0.com GET 200 -",
            "ledger ledger.internal:8080 GET 404 404",
        ]
    );
    assert!(!monitoring.render().to_lowercase().contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_cancelled_and_its_time_is_the_tenants() {
    let monitoring = monitoring();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let mut client = calls(&monitoring).layer(service_fn(async |_: Request<()>| {
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(Response::new(()))
    }));
    let active = [("dependency", "auth0"), ("server_address", "*.auth0.com")];
    let call = async {
        let call = client.call(get("https://acme.auth0.com/"));
        assert_eq!(samples(&monitoring).sum("http_client_active_requests", &active), 1.0);
        assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
    };
    call.in_tenant(acme).await;
    assert_eq!(samples(&monitoring).sum("http_client_active_requests", &active), 0.0);
    assert_eq!(recorded(&monitoring), ["auth0 *.auth0.com GET - cancelled"]);
    let time = [("tenant", "acme"), ("dependency", "auth0")];
    assert!(samples(&monitoring).sum("saas_tenant_dependency_time_seconds_total", &time) > 0.0);
}

#[tokio::test]
async fn failures_are_told_apart_without_their_texts() {
    let monitoring = monitoring();
    let mut client = calls(&monitoring).layer(service_fn(async |request: Request<()>| {
        let failure: BoxError = match request.uri().path() {
            "/refused" => io::Error::new(io::ErrorKind::ConnectionRefused, "canary").into(),
            "/reset" => io::Error::new(io::ErrorKind::ConnectionReset, "canary").into(),
            "/nested" => io::Error::other(io::Error::new(io::ErrorKind::BrokenPipe, "canary")).into(),
            "/tls" => io::Error::other(rustls::Error::DecryptError).into(),
            "/late" => Box::new(tower::timeout::error::Elapsed::new()),
            "/time" => io::Error::new(io::ErrorKind::TimedOut, "canary").into(),
            _ => "canary".into(),
        };
        Err::<Response<()>, _>(failure)
    }));
    for path in ["refused", "reset", "nested", "tls", "late", "time", "other"] {
        let _ = client.call(get(&format!("https://acme.auth0.com/{path}"))).await;
    }
    let words = ["_OTHER", "connect", "connection_lost", "connection_lost", "timeout", "timeout", "tls"];
    assert_eq!(recorded(&monitoring), words.map(|word| format!("auth0 *.auth0.com GET - {word}")));
    assert!(!monitoring.render().contains("canary"));
}

/// What the services asked get to know of the trace.
async fn traceparents(trace: Option<&TraceContext>, requests: Vec<Request<()>>) -> Vec<Option<String>> {
    let monitoring = monitoring();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let mut client = calls(&monitoring).layer(service_fn(move |request: Request<()>| {
        let sent = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        assert!(!request.headers().contains_key("baggage"));
        kept.lock().unwrap().push(sent);
        std::future::ready(Ok::<_, BoxError>(Response::new(())))
    }));
    let call = async {
        for request in requests {
            client.call(request).await.unwrap();
        }
    };
    match trace {
        Some(trace) => trace.scope(call).await,
        None => call.await,
    }
    seen.lock().unwrap().clone()
}

#[tokio::test]
async fn only_trusted_hosts_get_the_trace_and_as_a_span_of_its_own() {
    let trace = TraceContext::parse(PARENT, None).unwrap();
    let urls = [
        "http://ledger.internal:8080/",
        "https://acme.auth0.com/",
        "http://ledger.internal:8081/",
        "http://ledger.internal:8080@x.example/",
    ];
    let seen = traceparents(Some(&trace), urls.map(get).to_vec()).await;
    let [Some(ledger), None, None, None] = seen.as_slice() else { panic!("{seen:?}") };
    let sent = TraceContext::parse(ledger, None).unwrap();
    assert_eq!(sent.trace_id(), trace.trace_id());
    assert_ne!(sent.span_id(), trace.span_id());
    assert!(sent.is_sampled());
}

#[tokio::test]
async fn without_a_trace_none_is_made_up_and_one_that_is_set_stays() {
    assert_eq!(traceparents(None, vec![get("http://ledger.internal:8080/")]).await, [None]);
    let trace = TraceContext::new_root();
    let mut own = get("http://ledger.internal:8080/");
    own.headers_mut().insert("traceparent", PARENT.parse().unwrap());
    assert_eq!(traceparents(Some(&trace), vec![own]).await, [Some(PARENT.to_owned())]);
}

#[test]
fn a_call_allocates_nothing_once_its_series_exists() {
    let monitoring = monitoring();
    let mut client = calls(&monitoring).layer(service_fn(|request: Request<()>| {
        std::future::ready(if request.uri().path() == "/fails" {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(Response::new(()))
        })
    }));
    let _tenant = Tenant::NONE.enter();
    let mut task = Context::from_waker(Waker::noop());
    for url in ["https://acme.eu.auth0.com/userinfo", "https://x.example/", "https://acme.auth0.com/fails"] {
        let mut requests = [Some(get(url)), Some(get(url))];
        let mut call = |request: &mut Option<Request<()>>| {
            let call = pin!(client.call(request.take().unwrap()));
            let result: Poll<Result<_, io::Error>> = call.poll(&mut task);
            assert!(result.is_ready());
        };
        let [first, second] = &mut requests;
        call(first);
        assert_eq!(allocation_counter::measure(|| call(second)).count_total, 0, "{url}");
    }
    assert_eq!(recorded(&monitoring).len(), 6);
}
