//! Whose request it is: the resolvers, and carrying the tenant.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get as on_get};
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderName;
use monitoring_axum::{
    ApiKey, CurrentTenant, FromExtension, PathParameter, RequestHead, Subdomain, TenantResolver, TenantSlot,
    TrustedPeerHeader, VerifiedClaim,
};
use monitoring_core::{Monitoring, Tenant, TenantRegistry};
use tower::{Layer, Service, ServiceExt};

use crate::script::{Hints, ScriptedBody, Step, data};
use crate::{Bench, get, send};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");
const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Ids that no registry takes, each for its own reason.
fn hostile() -> Vec<Vec<u8>> {
    let texts = [
        "__none__",
        "__unknown__",
        "__other__",
        "a\"b",
        "a\\b",
        "a b",
        "a,tenant=\"b",
        "acme\u{301}",
        "\u{202e}acme",
        "acm\u{e9}",
        "acme}",
        "acme.",
        "Acme",
        "ACME",
        "unregistered",
    ];
    let mut ids: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
    ids.extend([vec![b'a'; 65], vec![b'a'; 60_000], vec![0xff, 0xfe, b'a'], b"acme\xa0".to_vec()]);
    ids
}

async fn id_of(State(monitoring): State<Monitoring>, CurrentTenant(tenant): CurrentTenant) -> String {
    monitoring.tenants().id(tenant).to_owned()
}

/// Whose a request is taken for where `acme` and `zeta` are registered: by the handler, and by the metrics.
async fn whose(resolver: impl TenantResolver, request: Request) -> String {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let app = Router::new()
        .route("/plain", any(id_of))
        .route("/t/{tenant}", any(id_of))
        .nest("/org/{org}", Router::new().route("/t/{tenant}/projects", any(id_of)))
        .with_state(bench.monitoring.clone())
        .layer(bench.layer().tenant(resolver));
    let (status, id) = send(&app, request).await;
    assert_eq!(status, 200);
    assert_eq!(bench.tenant_requests(), [format!("{id} ok default")]);
    id
}

fn with_header(name: &HeaderName, value: &[u8]) -> Request {
    let mut request = get("/plain");
    request.headers_mut().append(name, value.try_into().unwrap());
    request
}

#[tokio::test]
async fn without_a_resolver_no_tenant_is_named() {
    assert_eq!(whose(|_: &RequestHead<'_>, _: &TenantRegistry| Tenant::NONE, get("/plain")).await, "__none__");
    let bench = Bench::new();
    send(&Router::new().route("/", on_get("text")).layer(bench.layer()), get("/")).await;
    assert_eq!(bench.tenant_requests(), ["__none__ ok default"]);
}

#[derive(Clone)]
struct Principal {
    organisation: Option<&'static str>,
}

#[tokio::test]
async fn an_extension_of_the_applications_authentication_is_taken_as_verified() {
    let resolver = || FromExtension::new(|principal: &Principal| principal.organisation);
    let signed_in = |organisation| {
        let mut request = get("/plain");
        request.extensions_mut().insert(Principal { organisation });
        request
    };
    assert_eq!(whose(resolver(), signed_in(Some("acme"))).await, "acme");
    assert_eq!(whose(resolver(), signed_in(Some("new-customer"))).await, "new-customer");
    assert_eq!(whose(resolver(), signed_in(Some("no id"))).await, "__unknown__");
    assert_eq!(whose(resolver(), signed_in(None)).await, "__none__");
    assert_eq!(whose(resolver(), get("/plain")).await, "__none__");
}

/// A closure that takes an id as verified if a header says so: what it stands for is the application's affair.
fn claim() -> impl TenantResolver {
    VerifiedClaim::new(|request: &RequestHead<'_>| {
        let token = request.headers().get("authorization")?.as_bytes().strip_prefix(b"Signed ")?;
        Some(String::from_utf8_lossy(token).into_owned())
    })
}

#[tokio::test]
async fn a_verified_claim_names_its_tenant_and_an_unverified_one_none() {
    let authorization = http::header::AUTHORIZATION;
    assert_eq!(whose(claim(), with_header(&authorization, b"Signed acme")).await, "acme");
    assert_eq!(whose(claim(), with_header(&authorization, b"Signed new-customer")).await, "new-customer");
    assert_eq!(whose(claim(), with_header(&authorization, b"Forged acme")).await, "__none__");
    assert_eq!(whose(claim(), get("/plain")).await, "__none__");
    for id in hostile().iter().filter(|id| !matches!(id.as_slice(), b"Acme" | b"ACME" | b"acme." | b"unregistered")) {
        let request = with_header(&authorization, &[b"Signed ".as_slice(), id].concat());
        assert_eq!(whose(claim(), request).await, "__unknown__", "{}", id.escape_ascii());
    }
    // Ids are compared byte by byte: these are other tenants.
    assert_eq!(whose(claim(), with_header(&authorization, b"Signed Acme")).await, "Acme");
    assert_eq!(whose(claim(), with_header(&authorization, b"Signed acme.")).await, "acme.");
}

#[tokio::test]
async fn an_api_key_names_its_owner() {
    let resolver = || ApiKey::new(KEY, |key| (key == "key-of-acme").then_some("acme"));
    assert_eq!(whose(resolver(), with_header(&KEY, b"key-of-acme")).await, "acme");
    assert_eq!(whose(resolver(), with_header(&KEY, b"key-of-nobody")).await, "__none__");
    assert_eq!(whose(resolver(), with_header(&KEY, b"\xff")).await, "__none__");
    assert_eq!(whose(resolver(), get("/plain")).await, "__none__");
    let shown = format!("{:?} {:?}", resolver(), RequestHead::of(&with_header(&KEY, b"key-of-acme")));
    assert!(!shown.contains("key-of-acme"), "{shown}");
}

#[tokio::test]
async fn a_subdomain_names_a_registered_tenant() {
    let host = http::header::HOST;
    for (value, tenant) in [
        ("acme.example.com", "acme"),
        ("acme.example.com:8443", "acme"),
        ("www.example.com", "__unknown__"),
        ("ACME.example.com", "acme"),
        ("acme.EXAMPLE.Com:8443", "acme"),
        ("a.acme.example.com", "__unknown__"),
        ("example.com", "__none__"),
        (".example.com", "__none__"),
        ("acmeexample.com", "__none__"),
        ("acme.example.com.evil.org", "__none__"),
        ("acme.example.com.", "__none__"),
        ("[::1]:8443", "__none__"),
        ("acme", "__none__"),
        ("", "__none__"),
    ] {
        let request = with_header(&host, value.as_bytes());
        assert_eq!(whose(Subdomain::of("example.com"), request).await, tenant, "{value}");
    }
    for id in hostile().iter().filter(|id| !matches!(id.as_slice(), b"Acme" | b"ACME")) {
        let named =
            whose(Subdomain::of("example.com"), with_header(&host, &[id, b".example.com".as_slice()].concat())).await;
        assert!(["__unknown__", "__none__"].contains(&named.as_str()), "{}: {named}", id.escape_ascii());
    }
    // The target of the request goes before the header.
    let mut request = with_header(&host, b"zeta.example.com");
    *request.uri_mut() = "https://acme.example.com:8443/plain".parse().unwrap();
    assert_eq!(whose(Subdomain::of("example.com"), request).await, "acme");
}

#[tokio::test]
async fn a_subdomain_is_looked_up_as_it_was_sent_and_then_in_lower_case() {
    let longest = "a".repeat(64);
    let bench = Bench::with_tenants(&["acme", "Acme", "Initech", &longest]);
    let app = Router::new()
        .route("/plain", any(id_of))
        .with_state(bench.monitoring.clone())
        .layer(bench.layer().tenant(Subdomain::of("Example.COM")));
    let shouted = longest.to_uppercase();
    let too_long = "A".repeat(65);
    for (label, tenant) in [
        ("acme", "acme"),
        ("Acme", "Acme"),
        ("ACME", "acme"),
        ("Initech", "Initech"),
        ("initech", "__unknown__"),
        (shouted.as_str(), longest.as_str()),
        (too_long.as_str(), "__unknown__"),
    ] {
        let request = with_header(&http::header::HOST, format!("{label}.example.com").as_bytes());
        assert_eq!(send(&app, request).await.1, tenant, "{label}");
    }
}

#[tokio::test]
async fn a_path_parameter_names_a_registered_tenant() {
    let resolver = || PathParameter::new("tenant");
    for (path, tenant) in [
        ("/t/acme", "acme"),
        ("/org/zeta/t/acme/projects", "acme"),
        ("/org/acme/t/zeta/projects?tenant=acme", "zeta"),
        // What the handler's own extractor reads as `acme`.
        ("/t/%61cme", "acme"),
        ("/t/nobody", "__unknown__"),
        ("/t/Acme", "__unknown__"),
        ("/t/acme%00", "__unknown__"),
        ("/t/%ff", "__unknown__"),
        ("/plain", "__none__"),
    ] {
        assert_eq!(whose(resolver(), get(path)).await, tenant, "{path}");
    }
    let long = "a".repeat(10_000);
    assert_eq!(whose(resolver(), get(&format!("/t/{long}"))).await, "__unknown__");
    assert_eq!(whose(PathParameter::new("org"), get("/org/acme/t/zeta/projects")).await, "acme");

    let bench = Bench::with_tenants(&["acme"]);
    let app = Router::new().route("/t/{tenant}", any("text")).layer(bench.layer().tenant(resolver()));
    send(&app, get("/nothing/acme")).await;
    assert_eq!(bench.tenant_requests(), ["__none__ client_error unmatched"]);
}

#[tokio::test]
async fn a_path_parameter_is_found_by_a_layer_inside_a_nested_router() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let layer = || bench.layer().tenant(PathParameter::new("tenant"));
    let inner = Router::new().route("/t/{tenant}/{*rest}", any("text")).layer(layer());
    let app: Router = Router::new().nest("/org/{org}", Router::new().nest("/v1", inner));
    send(&app, get("/org/zeta/v1/t/acme/a/b/c")).await;
    assert_eq!(bench.tenant_requests(), ["acme ok default"]);
    assert_eq!(bench.requests(), ["GET /org/{org}/v1/t/{tenant}/{*rest} 200"]);
}

#[tokio::test]
async fn a_header_is_believed_from_trusted_peers_only() {
    let resolver = || TrustedPeerHeader::new(TENANT, ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1"]).unwrap();
    let from = |peer: &str, mut request: Request| {
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    };
    for (peer, tenant) in [
        ("10.1.2.3:5000", "acme"),
        ("[::ffff:10.1.2.3]:5000", "acme"),
        ("192.0.2.7:5000", "acme"),
        ("[fd12::7]:5000", "acme"),
        ("[::1]:5000", "acme"),
        ("192.0.2.8:5000", "__none__"),
        ("11.0.0.1:5000", "__none__"),
        ("127.0.0.1:5000", "__none__"),
        ("[2001:db8::1]:5000", "__none__"),
    ] {
        assert_eq!(whose(resolver(), from(peer, with_header(&TENANT, b"acme"))).await, tenant, "{peer}");
    }
    // Nobody knows the peer: a spoofed header, and one that says who the peer is.
    let mut spoofed = with_header(&TENANT, b"acme");
    spoofed.headers_mut().insert("x-forwarded-for", "10.1.2.3".parse().unwrap());
    assert_eq!(whose(resolver(), spoofed).await, "__none__");

    let gateway = "10.1.2.3:5000";
    assert_eq!(whose(resolver(), from(gateway, get("/plain"))).await, "__none__");
    let mut twice = with_header(&TENANT, b"acme");
    twice.headers_mut().append(TENANT, "zeta".parse().unwrap());
    assert_eq!(whose(resolver(), from(gateway, twice)).await, "__unknown__");
    for id in hostile() {
        assert_eq!(
            whose(resolver(), from(gateway, with_header(&TENANT, &id))).await,
            "__unknown__",
            "{}",
            id.escape_ascii()
        );
    }
}

#[test]
fn a_trusted_peer_that_is_none_is_refused_with_what_it_may_be() {
    for peer in ["gateway.internal", "10.0.0.0/33", "", "10.0.0"] {
        let error = TrustedPeerHeader::new(TENANT, ["10.0.0.1", peer]).unwrap_err().to_string();
        let expected = "is no trusted peer: expected an address such as 10.1.2.3 or a network such as 10.0.0.0/8";
        assert_eq!(error, format!("{peer:?} {expected}"));
    }
}

#[tokio::test]
async fn what_was_verified_wins_over_what_the_client_chose() {
    let resolver = || claim().or(Subdomain::of("example.com")).or(PathParameter::new("tenant"));
    let request = |claim: Option<&str>, host: &str, path: &str| {
        let mut request = get(path);
        request.headers_mut().insert("host", host.parse().unwrap());
        if let Some(claim) = claim {
            request.headers_mut().insert("authorization", format!("Signed {claim}").parse().unwrap());
        }
        request
    };
    assert_eq!(whose(resolver(), request(Some("acme"), "zeta.example.com", "/t/zeta")).await, "acme");
    assert_eq!(whose(resolver(), request(Some("not an id"), "zeta.example.com", "/t/zeta")).await, "__unknown__");
    assert_eq!(whose(resolver(), request(None, "zeta.example.com", "/t/acme")).await, "zeta");
    assert_eq!(whose(resolver(), request(None, "example.com", "/t/acme")).await, "acme");
    assert_eq!(whose(resolver(), request(None, "example.com", "/plain")).await, "__none__");
}

#[tokio::test]
async fn verified_tenants_are_not_registered_where_the_application_does_that_itself() {
    let monitoring = Monitoring::builder("test").admit_verified(false).build().unwrap();
    let bench = Bench { monitoring };
    let app = Router::new().route("/", on_get("text")).layer(bench.layer().tenant(claim()));
    let mut request = get("/");
    request.headers_mut().insert("authorization", "Signed acme".parse().unwrap());
    send(&app, request).await;
    assert_eq!(bench.tenant_requests(), ["__unknown__ ok default"]);
}

/// Authentication that runs inside the layer.
async fn sign_in(State(monitoring): State<Monitoring>, slot: TenantSlot, request: Request, next: Next) -> Response {
    slot.set(monitoring.tenants().admit("acme"));
    assert!(slot.get().is_known());
    next.run(request).await
}

#[tokio::test]
async fn authentication_inside_the_layer_names_the_tenant() {
    let bench = Bench::with_tenants(&["zeta"]);
    let app = Router::new()
        .route("/", any(id_of))
        .with_state(bench.monitoring.clone())
        .layer(from_fn_with_state(bench.monitoring.clone(), sign_in))
        .layer(bench.layer().tenant(|_: &RequestHead<'_>, tenants: &TenantRegistry| tenants.lookup("zeta")));
    assert_eq!(send(&app, get("/")).await, (200, "acme".to_owned()));
    assert_eq!(bench.tenant_requests(), ["acme ok default"]);
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[tokio::test]
async fn the_tenant_is_carried_over_await_and_into_the_response_body() {
    let bench = Bench::with_tenants(&["acme"]);
    let monitoring = bench.monitoring.clone();
    let streaming = move || async move {
        tokio::task::yield_now().await;
        let before = Tenant::current();
        let chunks = futures_util::stream::repeat_with(Tenant::current).take(2).then(move |tenant| {
            let monitoring = monitoring.clone();
            async move {
                tokio::task::yield_now().await;
                let ids = [before, tenant, Tenant::current()].map(|tenant| monitoring.tenants().id(tenant).to_owned());
                Ok::<_, std::io::Error>(Bytes::from(ids.join(" ") + "\n"))
            }
        });
        Body::from_stream(chunks)
    };
    let acme = |_: &RequestHead<'_>, tenants: &TenantRegistry| tenants.lookup("acme");
    let app = Router::new().route("/", on_get(streaming)).layer(bench.layer().tenant(acme));
    assert_eq!(send(&app, get("/")).await.1, "acme acme acme\nacme acme acme\n");
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[tokio::test]
async fn a_resolver_of_a_layer_inside_another_is_asked_where_the_outer_one_names_no_tenant() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let inner = Router::new()
        .route("/t/{tenant}", any(id_of))
        .with_state(bench.monitoring.clone())
        .layer(bench.layer().tenant(PathParameter::new("tenant")));
    let outer = [bench.layer(), bench.layer().tenant(Subdomain::of("example.com"))];
    for (outer, host, tenant) in [
        (&outer[0], "zeta.example.com", "acme"),
        (&outer[1], "zeta.example.com", "zeta"),
        // An answer, too.
        (&outer[1], "nobody.example.com", "__unknown__"),
        (&outer[1], "example.com", "acme"),
    ] {
        let before = bench.tenant_requests().len();
        let mut request = get("/t/acme");
        request.headers_mut().insert("host", host.parse().unwrap());
        let app = Router::new().fallback_service(outer.layer(inner.clone()));
        assert_eq!(send(&app, request).await.1, tenant, "{host}");
        assert_eq!(bench.tenant_requests().len(), before + 1, "{host}: it is counted once");
    }
    let recorded = ["__unknown__ ok default", "acme ok default", "acme ok default", "zeta ok default"];
    assert_eq!(bench.tenant_requests(), recorded);
    assert_eq!(bench.requests(), ["GET /t/{tenant} 200"; 4]);
}

/// Sees whose work it is when it is dropped.
struct Witness(Arc<Mutex<Vec<Tenant>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(Tenant::current());
    }
}

#[tokio::test]
async fn what_a_request_holds_is_dropped_as_its_tenants_work_however_it_ends() {
    let bench = Bench::with_tenants(&["acme"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let witness = || Witness(Arc::clone(&seen));
    let body = |step: Step| {
        let mut script = ScriptedBody::new([data("text"), step], Hints::None);
        let witness = witness();
        let frames = futures_util::stream::poll_fn(move |task| {
            let _held = &witness;
            http_body::Body::poll_frame(Pin::new(&mut script), task)
        });
        Body::new(http_body_util::StreamBody::new(frames))
    };
    let served = |request: Request| {
        let answer = match request.uri().path() {
            "/answered" => Some(Ok(Response::new(body(data(", and more"))))),
            "/hanging" => Some(Ok(Response::new(body(Step::Hang)))),
            "/failing" => Some(Err("the service fails")),
            _ => None,
        };
        let held = witness();
        // It has a destructor also where it is never polled to its end.
        async move {
            let _held = held;
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    };
    let acme = bench.monitoring.tenants().lookup("acme");
    let layer = bench.layer().tenant(move |_: &RequestHead<'_>, _: &TenantRegistry| acme);
    let mut service = layer.layer(tower::service_fn(served));
    let mut task = Context::from_waker(Waker::noop());
    let mut dropped = |path, frames: usize| {
        {
            let mut response = Box::pin(service.call(get(path)));
            if let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut task) {
                let mut body = Box::pin(response.into_body());
                for _ in 0..frames {
                    let _ = http_body::Body::poll_frame(body.as_mut(), &mut task);
                }
            }
        }
        std::mem::take(&mut *seen.lock().unwrap())
    };
    assert_eq!(dropped("/pending", 0), [acme], "cancelled in the handler");
    assert_eq!(dropped("/failing", 0), [acme]);
    assert_eq!(dropped("/answered", 0), [acme; 2], "cancelled before the body");
    assert_eq!(dropped("/hanging", 2), [acme; 2], "cancelled in the body");
    assert_eq!(dropped("/answered", 3), [acme; 2], "complete");
    assert_eq!(bench.tenant_requests().len(), 5, "each is recorded once");
    assert_eq!((bench.in_flight(), Tenant::current()), (0.0, Tenant::NONE));
}

#[tokio::test]
async fn requests_interleaved_on_one_thread_keep_their_tenants() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let slowly = |state: State<Monitoring>, tenant: CurrentTenant| async move {
        for _ in 0..10 {
            tokio::task::yield_now().await;
            assert_eq!(Tenant::current(), tenant.0);
        }
        id_of(state, tenant).await
    };
    let app = Router::new()
        .route("/t/{tenant}", any(slowly))
        .with_state(bench.monitoring.clone())
        .layer(bench.layer().tenant(PathParameter::new("tenant")));
    let (acme, zeta) = tokio::join!(send(&app, get("/t/acme")), send(&app, get("/t/zeta")));
    assert_eq!((acme.1.as_str(), zeta.1.as_str()), ("acme", "zeta"));
    assert_eq!(bench.tenant_requests(), ["acme ok default", "zeta ok default"]);
}

#[tokio::test]
async fn a_tenant_scope_outside_the_layer_holds_where_no_other_tenant_is_named() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let acme = bench.monitoring.tenants().lookup("acme");
    let scoped = from_fn(move |request: Request, next: Next| acme.scope(next.run(request)));
    let app = Router::new()
        .route("/t/{tenant}", any("text"))
        .route("/plain", any("text"))
        .layer(bench.layer().tenant(PathParameter::new("tenant")))
        .layer(scoped);
    send(&app, get("/plain")).await;
    send(&app, get("/t/zeta")).await;
    assert_eq!(bench.tenant_requests(), ["acme ok default", "zeta ok default"]);
}

#[tokio::test]
async fn a_slot_outside_of_any_request_does_nothing() {
    let app: Router = Router::new().route(
        "/",
        on_get(|slot: TenantSlot| async move {
            slot.set(Tenant::UNKNOWN);
            format!("{:?}", slot.get())
        }),
    );
    let body = app.oneshot(get("/")).await.unwrap().into_body();
    assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "Tenant(__none__)");
}

#[tokio::test]
async fn credentials_at_the_address_of_another_tenant_are_counted_for_who_has_them() {
    let bench = Bench::with_tenants(&["acme", "zeta"]);
    let key = |request: &RequestHead<'_>, tenants: &TenantRegistry| match request.headers().get(KEY) {
        Some(key) => tenants.lookup(key.to_str().unwrap()),
        None => Tenant::NONE,
    };
    let resolver = key.checked_by(Subdomain::of("example.com")).monitoring(&bench.monitoring).unwrap();
    let app = Router::new().route("/whose", on_get("text")).layer(bench.layer().tenant(resolver));
    let violations = || bench.samples().sum("saas_tenant_isolation_violations_total", &[("layer", "http")]);
    let ask = async |key: Option<&str>, host: &str| {
        let mut request = get("/whose");
        request.headers_mut().insert(http::header::HOST, host.parse().unwrap());
        if let Some(key) = key {
            request.headers_mut().insert(KEY, key.parse().unwrap());
        }
        send(&app, request).await
    };
    // Of one mind; or one of them names nobody, or nobody that is registered.
    for (key, host) in [
        (Some("acme"), "acme.example.com"),
        (Some("acme"), "example.com"),
        (Some("acme"), "unregistered.example.com"),
        (Some("unregistered"), "acme.example.com"),
        (None, "acme.example.com"),
    ] {
        ask(key, host).await;
    }
    assert_eq!(violations(), 0.0);
    ask(Some("acme"), "zeta.example.com").await;
    assert_eq!(violations(), 1.0);
}
