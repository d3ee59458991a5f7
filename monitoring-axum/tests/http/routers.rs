//! Which route and method a request is recorded under, and that it is recorded once.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, get as on_get, post};
use http::Method;
use tower::{Layer, ServiceExt};

use crate::{Bench, get, send};

fn request(method: &str, path: &str) -> Request {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn each_request_is_recorded_once_under_its_full_template() {
    let invoices = Router::new().route("/", on_get("all")).route("/{id}", on_get("one").delete("gone"));
    let api = Router::new()
        .route("/users/{id}", on_get("user"))
        .nest("/t/{tenant}/invoices", invoices)
        .fallback(|| async { "no such thing in the api" });
    let pages = Router::new().route("/about", on_get("about")).route("/files/{*path}", on_get("file"));
    let app = Router::new()
        .route("/", any("home"))
        .nest("/api", api)
        .merge(pages)
        .nest_service("/legacy", Router::new().route("/report", on_get("report")));

    for (method, path, recorded) in [
        ("GET", "/", "GET / 200"),
        ("GET", "/?page=2#top", "GET / 200"),
        ("GET", "/about", "GET /about 200"),
        ("GET", "/files/a/b/c", "GET /files/{*path} 200"),
        ("GET", "/api/users/7", "GET /api/users/{id} 200"),
        ("GET", "/api/t/acme/invoices", "GET /api/t/{tenant}/invoices 200"),
        ("DELETE", "/api/t/acme/invoices/3", "DELETE /api/t/{tenant}/invoices/{id} 200"),
        // axum answers HEAD by the route of GET.
        ("HEAD", "/about", "HEAD /about 200"),
        // The route exists, the method does not.
        ("POST", "/about", "_OTHER /about 405"),
        ("DELETE", "/about", "_OTHER /about 405"),
        ("POST", "/api/users/7", "_OTHER /api/users/{id} 405"),
        // Nothing of what a scanner makes up becomes a label.
        ("GET", "/wp-admin/setup.php", "GET unmatched 404"),
        ("GET", "/api/wp-admin", "GET unmatched 200"),
        ("BREW", "/", "_OTHER / 200"),
        ("get", "/", "_OTHER / 200"),
        ("BREW", "/about", "_OTHER /about 405"),
        // What is nested as a service of its own is not matched where the layer is.
        ("GET", "/legacy/report", "GET unmatched 200"),
    ] {
        let bench = Bench::new();
        let app = app.clone().layer(bench.layer());
        send(&app, request(method, path)).await;
        assert_eq!(bench.requests(), [recorded], "{method} {path}");
        assert_eq!((bench.tenant_requests().len(), bench.in_flight()), (1, 0.0), "{method} {path}");
    }
}

#[tokio::test]
async fn a_layer_inside_a_nested_router_sees_the_full_template() {
    let bench = Bench::new();
    let api = Router::new().route("/users/{id}", on_get("user")).layer(bench.layer());
    let app: Router = Router::new().nest("/api", api).route("/outside", on_get("not measured"));
    send(&app, get("/api/users/7")).await;
    send(&app, get("/outside")).await;
    assert_eq!(bench.requests(), ["GET /api/users/{id} 200"]);
}

#[tokio::test]
async fn the_layer_applied_twice_counts_once() {
    let bench = Bench::new();
    let api = Router::new().route("/users/{id}", on_get("user")).layer(bench.layer());
    let app = Router::new().nest("/api", api).layer(bench.layer()).layer(bench.layer());
    send(&app, get("/api/users/7")).await;
    send(&app, get("/nothing")).await;
    assert_eq!(bench.requests(), ["GET /api/users/{id} 200", "GET unmatched 404"]);
    assert_eq!((bench.tenant_requests().len(), bench.in_flight()), (2, 0.0));
}

#[tokio::test]
async fn a_layer_around_the_application_learns_the_route_from_the_one_inside() {
    let bench = Bench::new();
    let groups = bench.layer().route_group(|template| if template == "/api/users/{id}" { "users" } else { "rest" });
    let app = Router::new().nest_service("/api", Router::new().route("/users/{id}", on_get("user")).layer(groups));
    let service = bench.layer().layer(app.route("/unlayered", on_get("text")));
    for path in ["/api/users/7", "/unlayered", "/nothing"] {
        let response = service.clone().oneshot(get(path)).await.unwrap();
        axum::body::to_bytes(Body::new(response.into_body()), 1_000).await.unwrap();
    }
    assert_eq!(bench.requests(), ["GET /api/users/{id} 200", "GET unmatched 200", "GET unmatched 404"]);
    assert_eq!(
        bench.tenant_requests(),
        ["__none__ client_error unmatched", "__none__ ok unmatched", "__none__ ok users"]
    );
}

#[tokio::test]
async fn two_monitorings_each_count_for_themselves() {
    let (inner, outer) = (Bench::new(), Bench::new());
    let app = Router::new().route("/", on_get("text")).layer(inner.layer()).layer(outer.layer());
    send(&app, get("/")).await;
    assert_eq!(inner.requests(), ["GET / 200"]);
    assert_eq!(outer.requests(), ["GET / 200"]);
}

#[tokio::test]
async fn a_request_made_within_a_handler_is_part_of_its_request_and_one_of_another_task_is_not() {
    let bench = Bench::new();
    let part = Router::new().route("/part", on_get("text")).layer(bench.layer());
    let (same_task, other_task) = (part.clone(), part);
    let app = Router::new()
        .route("/batch", post(|| async { same_task.oneshot(get("/part")).await }))
        .route("/detached", post(|| async { tokio::spawn(send_part(other_task)).await.unwrap() }))
        .layer(bench.layer());
    async fn send_part(app: Router) -> String {
        send(&app, get("/part")).await.1
    }
    send(&app, request("POST", "/detached")).await;
    assert_eq!(bench.requests(), ["GET /part 200", "POST /detached 200"]);
    send(&app, request("POST", "/batch")).await;
    assert_eq!(bench.requests().len(), 3, "{:?}", bench.requests());
}

#[tokio::test]
async fn routes_are_grouped_as_the_application_says() {
    let bench = Bench::new();
    let layer = bench.layer().route_group(|template| match template {
        "unmatched" => "noise",
        template if template.starts_with("/reports") => "reports",
        _ => "app",
    });
    let app = Router::new().route("/reports/{id}", on_get("report")).route("/", on_get("home")).layer(layer);
    for path in ["/reports/1", "/reports/2", "/", "/nothing"] {
        send(&app, get(path)).await;
    }
    assert_eq!(
        bench.tenant_requests(),
        ["__none__ client_error noise", "__none__ ok app", "__none__ ok reports", "__none__ ok reports"]
    );
}

#[tokio::test]
async fn a_thousand_paths_methods_and_hosts_make_no_new_series() {
    let bench = Bench::new();
    let app = Router::new().route("/users/{id}", any("user")).layer(bench.layer());
    let attack = async |number: usize| {
        let unknown_method = format!("X{number}");
        for (method, path) in [
            ("GET", format!("/users/{number}")),
            ("GET", format!("/{number}")),
            (unknown_method.as_str(), format!("/{number}?{number}")),
        ] {
            let mut request = request(method, &path);
            for (name, value) in [("host", format!("h{number}")), ("user-agent", format!("a{number}"))] {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            send(&app, request).await;
        }
    };
    attack(0).await;
    // Read twice, because the first reading makes the series about the store itself.
    bench.samples();
    let series = bench.samples().len();
    for number in 1..1_000 {
        attack(number).await;
    }
    assert_eq!(bench.samples().len(), series);
    assert_eq!(bench.requests().len(), 3_000);
}
