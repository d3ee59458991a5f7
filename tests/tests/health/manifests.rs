//! What is in the folder `deploy`, asked a real Prometheus.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use monitoring_core::Monitoring;
use monitoring_core::health::Autoscale;
use monitoring_tests::servers::{Prometheus, Target};
use serde_json::Value;

use super::DEADLINE;

const ADAPTER: &str = include_str!("../../../deploy/autoscaling/prometheus-adapter.yaml");
const HPA: &str = include_str!("../../../deploy/autoscaling/hpa.yaml");
const KEDA: &str = include_str!("../../../deploy/autoscaling/keda.yaml");
const PAGE: &str = include_str!("../../../docs/src/health.md");
const DEPLOYMENT: &str = include_str!("../../../deploy/kubernetes/deployment.yaml");

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn items<'a>(manifest: &'a Value, pointer: &str) -> &'a [Value] {
    manifest.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer} is no list in {manifest}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} is no text in {value}"))
}

/// A service with one request in flight and a job that waits, and an address where Prometheus gets its metrics with the
/// labels that Kubernetes' service discovery would have added.
async fn service() -> SocketAddr {
    let monitoring = Monitoring::builder("billing").build().unwrap();
    Autoscale::of(&monitoring).unwrap().in_flight().queue_age(|| Some(Duration::from_secs(42)));
    let app: Router = Router::new()
        .route("/hangs", get(std::future::pending::<()>))
        .layer(monitoring_axum::layer().monitoring(&monitoring).unwrap())
        .route(
            "/metrics",
            get(move || {
                let labels = r#"saas_autoscale_signal{namespace="billing",pod="billing-0",signal="#;
                let text = monitoring.render().replace("saas_autoscale_signal{signal=", labels);
                async { ([("content-type", "text/plain; version=0.0.4")], text) }
            }),
        );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    tokio::spawn(reqwest::get(format!("http://{address}/hangs")));
    address
}

/// What Prometheus answers, which must understand the expression.
async fn ask(prometheus: &Prometheus, expression: &str) -> Value {
    let url = format!("{}/api/v1/query", prometheus.url().trim_end_matches('/'));
    let query = reqwest::Url::parse_with_params(&url, [("query", expression)]).unwrap();
    let body = reqwest::get(query).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["status"], "success", "{expression}: {answer}");
    answer
}

/// The value of an expression, once Prometheus has one.
async fn value(prometheus: &Prometheus, expression: &str) -> f64 {
    let start = Instant::now();
    loop {
        let answer = ask(prometheus, expression).await;
        if let [sample] = items(&answer, "/data/result") {
            return text(sample, "/value/1").parse().unwrap();
        }
        assert!(start.elapsed() < DEADLINE, "{expression} has not one value: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expression_of_the_autoscalers_has_a_value_and_those_of_the_page_are_understood() {
    let target = Target { job: "billing".into(), service: "billing".into(), address: service().await };
    let prometheus = Prometheus::start(&[target], Duration::from_millis(200)).unwrap();

    let adapter = yaml(ADAPTER);
    let rules = [("/rules", "pod", 1.0), ("/externalRules", "namespace", 42.0)];
    for (pointer, group, expected) in rules {
        let [rule] = items(&adapter, pointer) else { panic!("{pointer}") };
        let series = text(rule, "/seriesQuery");
        assert_eq!(value(&prometheus, &format!("count({series})")).await, 1.0);
        let expression = text(rule, "/metricsQuery")
            .replace("<<.Series>>", "saas_autoscale_signal")
            .replace("<<.LabelMatchers>>", r#"namespace="billing",pod=~"billing-.*""#)
            .replace("<<.GroupBy>>", group);
        assert!(!expression.contains("<<"), "{expression}");
        until(&prometheus, &expression, expected).await;
    }

    let keda = yaml(KEDA);
    let triggers = items(&keda, "/spec/triggers");
    assert_eq!(triggers.len(), 2);
    for (trigger, expected) in triggers.iter().zip([1.0, 42.0]) {
        assert_eq!(text(trigger, "/type"), "prometheus");
        until(&prometheus, text(trigger, "/metadata/query"), expected).await;
        assert!(text(trigger, "/metadata/threshold").parse::<f64>().unwrap() > 0.0);
    }

    let (_, block) = PAGE.split_once("```promql\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    // Each begins after a line that says what it is.
    let commented = block.split("# ").filter_map(|part| part.split_once('\n'));
    let expressions: Vec<&str> = commented.map(|(_, expression)| expression.trim()).collect();
    assert!(expressions.len() >= 4, "{expressions:?}");
    for expression in expressions {
        ask(&prometheus, expression).await;
    }
}

/// An average comes to its value by and by.
async fn until(prometheus: &Prometheus, expression: &str, expected: f64) {
    let start = Instant::now();
    loop {
        let found = value(prometheus, expression).await;
        if (found - expected).abs() < 0.5 {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{expression} is {found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn the_autoscaler_asks_for_what_the_adapter_has() {
    let (adapter, hpa) = (yaml(ADAPTER), yaml(HPA));
    assert_eq!(text(&hpa, "/apiVersion"), "autoscaling/v2");
    let [pods, external] = items(&hpa, "/spec/metrics") else { panic!("{hpa}") };
    assert_eq!(text(pods, "/pods/metric/name"), text(&adapter, "/rules/0/name/as"));
    assert_eq!(text(external, "/external/metric/name"), text(&adapter, "/externalRules/0/name/as"));
}

#[test]
fn the_deployment_probes_our_routes_and_is_not_killed_while_it_drains() {
    let deployment = yaml(DEPLOYMENT);
    let pod = deployment.pointer("/spec/template/spec").unwrap();
    let container = pod.pointer("/containers/0").unwrap();
    assert_eq!(text(container, "/readinessProbe/httpGet/path"), "/readyz");
    for probe in ["/livenessProbe", "/startupProbe"] {
        assert_eq!(text(container, &format!("{probe}/httpGet/path")), "/livez");
    }
    let seconds = |name: &str| {
        let variable = items(container, "/env").iter().find(|variable| variable["name"] == name).unwrap();
        text(variable, "/value").parse::<u64>().unwrap()
    };
    let (delay, deadline) = (seconds("MONITORING_DRAIN_DELAY"), seconds("MONITORING_DRAIN_DEADLINE"));
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= delay + deadline + 5);
    assert!(delay > container.pointer("/readinessProbe/periodSeconds").and_then(Value::as_u64).unwrap());
}
