//! A service of its own for each test.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use monitoring_core::Monitoring;
use monitoring_tests::exposition::Samples;
use saas::{App, Config, router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const SECRET: &str = "the-secret-of-the-tests-is-long-enough";

pub(crate) struct Bench {
    pub(crate) app: Arc<App>,
    router: Router,
    _folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// The settings of a service with its data in that folder.
pub(crate) fn config(folder: &TempDir) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics: None,
        database_url: format!("sqlite:{}", folder.path().join("saas.db").display()),
        redis_url: None,
        tenants: 40,
        seed: 1,
        identity_failures: 0.0,
        jwt_secret: SECRET.to_owned(),
    }
}

/// The monitoring of this process.
pub(crate) fn monitoring() -> &'static Monitoring {
    static MONITORING: OnceLock<Monitoring> = OnceLock::new();
    MONITORING.get_or_init(|| saas::monitoring().unwrap().install().unwrap())
}

/// What `/metrics` shows now.
pub(crate) fn samples() -> Samples {
    monitoring().render().parse().unwrap()
}

/// How many requests of a tenant have ended so.
pub(crate) fn requests(tenant: &str, outcome: &str) -> f64 {
    samples().sum("saas_tenant_requests_total", &[("tenant", tenant), ("outcome", outcome)])
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&folder);
        change(&mut config);
        let app = App::start(&config, monitoring().clone()).await.unwrap();
        Self { router: router(&app), app, _folder: folder }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.send(request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(signed(token, "GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        let request = signed(token, "POST", path).header(CONTENT_TYPE, "application/json");
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn login(&self, tenant: &str, password: &str) -> Answer {
        let credentials = json!({"tenant": tenant, "user": "ada", "password": password});
        let request = Request::post("/login").header(CONTENT_TYPE, "application/json");
        self.ask(request.body(Body::from(credentials.to_string())).unwrap()).await
    }

    /// The token of a tenant's user.
    pub(crate) async fn token(&self, tenant: &str) -> String {
        let answer = self.login(tenant, &format!("{tenant}-password")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    /// The id of a new project.
    pub(crate) async fn project(&self, token: &str, name: &str) -> i64 {
        let answer = self.post(token, "/api/v1/projects", json!({"name": name})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body["id"].as_i64().unwrap()
    }
}

/// The beginning of a request of somebody who has signed in.
pub(crate) fn signed(token: &str, method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {token}"))
}
