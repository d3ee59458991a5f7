//! What the service says when a setting cannot be used, and what it finds when it starts again.

use axum::http::StatusCode;
use saas::{App, Config};
use serde_json::json;

use crate::bench::{Bench, config, monitoring};

async fn refusal(change: impl FnOnce(&mut Config)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder);
    change(&mut config);
    App::start(&config, monitoring().clone()).await.err().unwrap().to_string()
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused_without_showing_its_url() {
    let error = refusal(|config| config.database_url = "mysql://root:hunter2@localhost/shop".to_owned()).await;
    assert!(error.contains("--database-url") && error.contains("postgres://"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_database_server_that_is_not_there_is_named_by_its_setting() {
    let nobody = "postgres://root:hunter2@127.0.0.1:1/shop";
    let error = refusal(|config| config.database_url = nobody.to_owned()).await;
    assert!(error.contains("--database-url") && error.contains("refused"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_cache_that_is_not_there_is_named_by_its_setting() {
    let error = refusal(|config| config.redis_url = Some("redis://:hunter2@127.0.0.1:1".to_owned())).await;
    assert!(error.contains("--redis-url") && error.contains("without a cache"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn the_development_secret_is_for_loopback_only() {
    let error = refusal(|config| {
        config.listen = "0.0.0.0:3000".parse().unwrap();
        config.jwt_secret = "development-only-secret-of-the-sample".to_owned();
    })
    .await;
    assert!(error.contains("JWT_SECRET") && error.contains("0.0.0.0:3000"), "{error}");
}

#[tokio::test]
async fn what_was_created_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database_url = config(&folder).database_url;
    let restart = async || Bench::start_with(|config| config.database_url.clone_from(&database_url)).await;

    let bench = restart().await;
    let token = bench.token("acme-0000").await;
    let project = bench.project(&token, "Lasting").await;
    bench.app.stop(std::time::Duration::from_secs(30)).await;

    let read = restart().await.get(&token, &format!("/api/v1/projects/{project}")).await;
    assert_eq!((read.status, &read.body["name"]), (StatusCode::OK, &json!("Lasting")));
}
