//! A request's metrics have the span that it ran in, although they are recorded when its body has ended.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use monitoring_core::{Exemplar, Format};

use crate::{Bench, send};

tokio::task_local! {
    /// Stands for tracing: the span of the request.
    static SPAN: Exemplar;
}

#[tokio::test]
async fn a_request_has_the_exemplar_of_the_span_around_the_layer_and_the_next_one_its_own() {
    let bench = Bench::new();
    bench.monitoring.registry().exemplars_from(|| SPAN.try_with(|span| *span).ok());
    let in_span = from_fn(async |request: Request, next: Next| match request.headers().get("span") {
        Some(span) => {
            let id = span.as_bytes()[0];
            SPAN.scope(Exemplar { trace_id: [id; 16], span_id: [id; 8] }, next.run(request)).await
        }
        None => next.run(request).await,
    });
    let app = Router::new()
        .route("/kept", get(async || "kept"))
        .route("/dropped", get(async || "dropped"))
        .layer(bench.layer())
        .layer(in_span);
    let request = |path: &str| Request::get(path);
    send(&app, request("/kept").header("span", "a").body(Body::empty()).unwrap()).await;
    send(&app, request("/dropped").body(Body::empty()).unwrap()).await;

    let chunks = bench.monitoring.exposition_in(Format::OpenMetrics);
    let text: String = chunks.map(|chunk| String::from_utf8(chunk.to_vec()).unwrap()).collect();
    let exemplars = |route: &str| {
        let route = format!("http_route=\"{route}\"");
        text.lines().filter(|line| line.contains(&route) && line.contains(" # {")).collect::<Vec<_>>()
    };
    let span = format!("trace_id=\"{}\",span_id=\"{}\"", "61".repeat(16), "61".repeat(8));
    let kept = exemplars("/kept");
    assert!(kept.iter().any(|line| line.starts_with("http_server_request_duration_seconds_bucket{")), "{text}");
    assert!(kept.iter().all(|line| line.contains(&span)), "{text}");
    assert_eq!(exemplars("/dropped"), Vec::<&str>::new());
}
