//! What is switched on: Apdex, the log of slow requests, `Server-Timing`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use http::StatusCode;
use monitoring_axum::{MonitoringLayer, PathParameter};
use monitoring_core::propagation::TraceContext;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::script::{Hints, ScriptedBody, data};
use crate::{Bench, get, head, send};

fn app(layer: MonitoringLayer) -> Router {
    let stream = || std::future::ready(Body::new(ScriptedBody::new([data("streamed")], Hints::None)));
    Router::new()
        .route("/t/{tenant}", on_get("text"))
        .route("/t/{tenant}/broken", on_get(StatusCode::BAD_GATEWAY))
        .route("/t/{tenant}/missing", on_get(StatusCode::NOT_FOUND))
        .route("/t/{tenant}/stream", on_get(stream))
        .layer(layer.tenant(PathParameter::new("tenant")))
}

fn apdex(bench: &Bench) -> Vec<String> {
    bench.counted("saas_tenant_apdex_requests_total", &["tenant", "apdex"])
}

#[tokio::test]
async fn the_apdex_class_follows_the_threshold_of_the_route() {
    let bench = Bench::with_tenants(&["acme"]);
    let app = app(bench.layer().apdex_for(|template| match template {
        "/t/{tenant}" => Some(Duration::from_secs(3_600)),
        "/t/{tenant}/stream" => None,
        _ => Some(Duration::ZERO),
    }));
    send(&app, get("/t/acme")).await;
    assert_eq!(apdex(&bench), ["acme satisfied"]);
    send(&app, get("/t/acme/stream")).await;
    assert_eq!(apdex(&bench), ["acme satisfied"], "the route is left out");
    send(&app, get("/t/acme/missing")).await;
    assert_eq!(apdex(&bench), ["acme frustrated", "acme satisfied"], "nothing is done in no time");
}

#[tokio::test]
async fn a_failure_of_the_server_frustrates_however_quick_it_was() {
    let bench = Bench::with_tenants(&["acme"]);
    let app = app(bench.layer().apdex(Duration::from_secs(3_600)));
    send(&app, get("/t/acme/broken")).await;
    send(&app, get("/t/acme/missing")).await;
    drop(head(&app, get("/t/acme/stream")).await);
    // What was given up at once has kept nobody waiting.
    assert_eq!(apdex(&bench), ["acme frustrated", "acme satisfied"]);
}

#[tokio::test]
async fn a_panic_of_the_thresholds_reaches_nobody() {
    let bench = Bench::with_tenants(&["acme"]);
    let app =
        app(bench.layer().apdex_for(|_| panic!("the threshold fails")).slow_requests_for(|_| panic!("so does this")));
    assert_eq!(send(&app, get("/t/acme")).await, (200, "text".to_owned()));
    drop(head(&app, get("/t/acme/stream")).await);
    assert_eq!((bench.requests().len(), bench.in_flight(), apdex(&bench)), (2, 0.0, vec![]));
}

#[tokio::test]
async fn without_a_threshold_there_is_no_apdex() {
    let bench = Bench::new();
    send(&app(bench.layer()), get("/t/acme")).await;
    assert_eq!(apdex(&bench), Vec::<String>::new());
}

#[tokio::test]
async fn a_response_tells_browsers_how_long_its_head_took() {
    let bench = Bench::new();
    let timing = |response: &axum::response::Response| response.headers().get("server-timing").cloned();
    assert_eq!(timing(&head(&app(bench.layer()), get("/t/acme")).await), None, "it is off by default");
    for path in ["/t/acme", "/t/acme/stream", "/t/acme/broken"] {
        let header = timing(&head(&app(bench.layer().server_timing()), get(path)).await).unwrap();
        let milliseconds = header.to_str().unwrap().strip_prefix("total;dur=").unwrap();
        assert!(milliseconds.parse::<f64>().unwrap() >= 0.0, "{milliseconds}");
    }
}

#[tokio::test]
async fn a_response_tells_browsers_which_trace_it_belongs_to() {
    let bench = Bench::new();
    let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None).unwrap();
    let app = app(bench.layer().server_timing());
    let response = trace.scope(head(&app, get("/t/acme"))).await;
    let header = response.headers()["server-timing"].to_str().unwrap();
    assert!(
        header.ends_with(", traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""),
        "{header}"
    );
}

/// Keeps the events of one target.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "monitoring::slow_request"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }

            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        let mut fields = Fields(BTreeMap::new());
        fields.0.insert("level".to_owned(), event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_slow_request_is_logged_without_anything_that_the_client_wrote() {
    let bench = Bench::with_tenants(&["acme"]);
    let log = Log::default();
    let _default = tracing::subscriber::set_default(log.clone());
    let app = app(bench.layer().slow_requests_for(|template| match template {
        "/t/{tenant}" | "unmatched" => None,
        _ => Some(Duration::ZERO),
    }));
    for path in ["/t/acme", "/t/acme/stream?token=s3cret", "/s3cret"] {
        let mut request = get(path);
        request.headers_mut().insert("authorization", "s3cret".parse().unwrap());
        send(&app, request).await;
    }
    let lines = log.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 1, "not where there is no threshold: {lines:?}");
    let line = &lines[0];
    for (field, value) in [
        ("level", "WARN"),
        ("method", "GET"),
        ("route", "/t/{tenant}/stream"),
        ("status", "200"),
        ("outcome", "ok"),
        ("tenant", "acme"),
        ("suppressed", "0"),
        ("message", "slow request"),
    ] {
        assert_eq!(line.get(field).map(String::as_str), Some(value), "{field}: {line:?}");
    }
    assert!(line.contains_key("duration_seconds") && line.contains_key("time_to_head_seconds"), "{line:?}");
    assert!(!format!("{lines:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_flood_of_slow_requests_is_not_a_flood_of_lines() {
    let bench = Bench::new();
    let log = Log::default();
    let _default = tracing::subscriber::set_default(log.clone());
    let app = app(bench.layer().slow_requests(Duration::ZERO));
    let mut sent = 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    let has_told = |line: &BTreeMap<String, String>| line["suppressed"] != "0";
    // Until another second has begun, in which a line can say what was left out.
    while !log.0.lock().unwrap().last().is_some_and(has_told) {
        assert!(Instant::now() < deadline, "nothing was left out within 20 seconds");
        send(&app, get("/t/acme")).await;
        sent += 1;
    }
    let lines = log.0.lock().unwrap().clone();
    let suppressed: u64 = lines.iter().map(|line| line["suppressed"].parse::<u64>().unwrap()).sum();
    assert_eq!(suppressed as usize + lines.len(), sent, "each is logged or counted");
}
