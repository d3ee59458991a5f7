//! What those who have signed in can do.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, signed};

/// Downloads a report once it has been made.
pub(crate) async fn download(bench: &Bench, token: &str, report: i64) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = bench.get(token, &format!("/api/v1/reports/{report}/download")).await;
        if answer.status != StatusCode::ACCEPTED {
            return answer;
        }
        assert!(Instant::now() < deadline, "the report is still {}", answer.body["state"]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_created_project_is_listed_and_read() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    let id = bench.project(&token, " Moon base ").await;

    let listed = bench.get(&token, "/api/v1/projects").await.body;
    assert_eq!(listed[0]["id"], id);
    let read = bench.get(&token, &format!("/api/v1/projects/{id}")).await.body;
    assert_eq!((&read["name"], &read["created_by"]), (&json!("Moon base"), &json!("ada")));
}

#[tokio::test]
async fn without_a_cache_a_listing_is_never_out_of_date() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    for count in 0..3 {
        assert_eq!(bench.get(&token, "/api/v1/projects").await.body.as_array().unwrap().len(), count);
        bench.project(&token, "Another").await;
    }
}

#[tokio::test]
async fn a_project_needs_a_name() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    for name in ["", "  ", &"x".repeat(201)] {
        let answer = bench.post(&token, "/api/v1/projects", json!({"name": name})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name:?}");
    }
}

#[tokio::test]
async fn a_requested_report_is_made_in_the_background() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    let project = bench.project(&token, "Moon base").await;
    let requested = bench.post(&token, &format!("/api/v1/projects/{project}/reports"), json!({"title": "June"})).await;
    assert_eq!(requested.status, StatusCode::ACCEPTED);

    let document = download(&bench, &token, requested.body["id"].as_i64().unwrap()).await;
    assert_eq!(document.status, StatusCode::OK);
    assert_eq!(document.body["report"]["title"], "June");
    assert_eq!(document.body["lines"], json!([{"label": "project created", "amount": 1}]));
    let listed = bench.get(&token, "/api/v1/reports").await.body;
    assert_eq!(listed[0]["state"], "ready");
}

#[tokio::test]
async fn what_belongs_to_another_tenant_does_not_exist() {
    let bench = Bench::start().await;
    let (acme, globex) = (bench.token("acme-0000").await, bench.token("globex-0001").await);
    let project = bench.project(&acme, "Secret").await;
    let reports = format!("/api/v1/projects/{project}/reports");
    let report = bench.post(&acme, &reports, json!({"title": "Secret"})).await.body["id"].as_i64().unwrap();
    assert_eq!(download(&bench, &acme, report).await.status, StatusCode::OK);

    for path in [format!("/api/v1/projects/{project}"), format!("/api/v1/reports/{report}/download")] {
        assert_eq!(bench.get(&globex, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(bench.post(&globex, &reports, json!({"title": "Mine"})).await.status, StatusCode::NOT_FOUND);
    for path in ["/api/v1/projects", "/api/v1/reports"] {
        assert_eq!(bench.get(&globex, path).await.body, json!([]), "{path}");
    }
}

#[tokio::test]
async fn the_feed_tells_the_past_then_what_happens_and_ends_when_the_service_stops() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    let first = bench.project(&token, "Before").await;
    let request = signed(&token, "GET", "/api/v1/activity").body(Body::empty()).unwrap();
    let mut feed = bench.send(request).await.into_body().into_data_stream();
    let mut next = async || feed.next().await.map(|event| String::from_utf8(event.unwrap().to_vec()).unwrap());

    assert_eq!(next().await.unwrap(), "event: watching\ndata: acme-0000\n\n");
    assert!(next().await.unwrap().contains(&format!("\"project_id\":{first},")));
    let second = bench.project(&token, "Meanwhile").await;
    assert!(next().await.unwrap().contains(&format!("\"project_id\":{second},")));
    bench.app.end_feeds();
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn each_answer_has_the_id_of_its_request() {
    let bench = Bench::start().await;
    for path in ["/api/v1/projects", "/nowhere", "/api/v1/nowhere"] {
        let request = Request::get(path).header("x-request-id", "load-7").body(Body::empty()).unwrap();
        assert_eq!(bench.ask(request).await.headers["x-request-id"], "load-7", "{path}");
    }
    let made_up = bench.ask(Request::get("/nowhere").body(Body::empty()).unwrap()).await;
    assert!(!made_up.headers["x-request-id"].is_empty());
}

#[tokio::test]
async fn what_no_route_matches_is_not_found() {
    let bench = Bench::start().await;
    for path in ["/", "/.env", "/api/v1", "/api/v1/nowhere", "/api/v2/users"] {
        let answer = bench.ask(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body["error"] != Value::Null), (StatusCode::NOT_FOUND, true), "{path}");
    }
}
