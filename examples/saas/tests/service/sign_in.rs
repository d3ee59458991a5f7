//! Who somebody is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{Request, StatusCode};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use crate::bench::{Bench, SECRET};

/// A token as the service issues them, for any tenant and signed with any secret.
pub(crate) fn token(tenant: &str, secret: &str) -> String {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(600);
    let claims = json!({"sub": "ada", "org": tenant, "exp": expires.as_secs()});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[tokio::test]
async fn the_token_of_a_sign_in_opens_the_product() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    assert_eq!(bench.get(&token, "/api/v1/projects").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let bench = Bench::start().await;
    assert_eq!(bench.login("acme-0000", "guessed").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_is_renewed() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    let renewed = bench.post(&token, "/api/v1/session/renew", json!({})).await;
    assert_eq!(renewed.status, StatusCode::OK);
    let renewed = renewed.body["token"].as_str().unwrap();
    assert_eq!(bench.get(renewed, "/api/v1/projects").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_failing_identity_provider_is_a_bad_gateway() {
    let bench = Bench::start_with(|config| config.identity_failures = 1.0).await;
    assert_eq!(bench.login("acme-0000", "acme-0000-password").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn without_a_token_nothing_is_shown() {
    let bench = Bench::start().await;
    let answer = bench.ask(Request::get("/api/v1/projects").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
}

#[tokio::test]
async fn a_token_of_another_signer_is_refused() {
    let bench = Bench::start().await;
    let forged = token("acme-0000", "the-secret-of-somebody-else-who-tries");
    assert_eq!(bench.get(&forged, "/api/v1/projects").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_valid_token_of_an_unlisted_tenant_is_refused() {
    let bench = Bench::start().await;
    let valid = token("unlisted-9999", SECRET);
    assert_eq!(bench.get(&valid, "/api/v1/projects").await.status, StatusCode::FORBIDDEN);
    let signed_in = bench.login("unlisted-9999", "unlisted-9999-password").await;
    assert_eq!(signed_in.status, StatusCode::FORBIDDEN);
}
