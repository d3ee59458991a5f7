//! The service on a real PostgreSQL and with a real Redis.

use axum::http::StatusCode;
use monitoring_tests::servers::{PostgreSql, Redis};
use serde_json::json;

use crate::bench::{Bench, samples};
use crate::product::download;

#[tokio::test]
async fn the_product_is_the_same_on_postgresql() {
    let server = PostgreSql::start().unwrap();
    let bench = Bench::start_with(|config| config.database_url = server.url()).await;
    let (acme, globex) = (bench.token("acme-0000").await, bench.token("globex-0001").await);
    let project = bench.project(&acme, "Moon base").await;
    let reports = format!("/api/v1/projects/{project}/reports");

    assert_eq!(bench.post(&globex, &reports, json!({"title": "Mine"})).await.status, StatusCode::NOT_FOUND);
    let report = bench.post(&acme, &reports, json!({"title": "June"})).await.body["id"].as_i64().unwrap();
    let document = download(&bench, &acme, report).await.body;
    assert_eq!(document["lines"], json!([{"label": "project created", "amount": 1}]));
    assert_eq!(bench.get(&acme, "/api/v1/reports").await.body[0]["state"], "ready");
    assert_eq!(bench.get(&acme, "/api/v1/projects").await.body[0]["name"], "Moon base");
    assert_eq!(bench.get(&globex, "/api/v1/projects").await.body, json!([]));
}

#[tokio::test]
async fn a_listing_is_cached_until_it_changes() {
    let server = Redis::start().unwrap();
    let bench = Bench::start_with(|config| config.redis_url = Some(server.url())).await;
    let token = bench.token("umbrella-0003").await;
    let listed = async || bench.get(&token, "/api/v1/projects").await.body.as_array().unwrap().len();
    assert_eq!((listed().await, listed().await), (0, 0));
    bench.project(&token, "New").await;
    assert_eq!((listed().await, listed().await), (1, 1));

    let samples = samples();
    // No other test succeeds in sending these.
    let succeeded = |name| {
        let labels = [("db_system_name", "redis"), ("db_operation_name", name)];
        samples.value("db_client_operation_duration_seconds_count", &labels)
    };
    assert_eq!((succeeded("GET"), succeeded("SET"), succeeded("DEL")), (Some(4.0), Some(2.0), Some(1.0)));
    let of_the_tenant = [("tenant", "umbrella-0003"), ("db_system_name", "redis")];
    assert!(samples.sum("saas_tenant_db_time_seconds_total", &of_the_tenant) > 0.0);
}

#[tokio::test]
async fn a_cache_that_dies_fails_no_request() {
    let server = Redis::start().unwrap();
    let bench = Bench::start_with(|config| config.redis_url = Some(server.url())).await;
    let token = bench.token("wonka-0007").await;
    drop(server);
    bench.project(&token, "Anyway").await;
    assert_eq!(bench.get(&token, "/api/v1/projects").await.body[0]["name"], "Anyway");
}
