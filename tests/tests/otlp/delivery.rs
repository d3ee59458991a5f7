//! What is recorded arrives, by each protocol and as it is.

use std::collections::BTreeMap;

use monitoring_core::otlp::{OtlpCompression, OtlpConfig, OtlpProtocol};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::collector::{Collector, Mode, Protocol};
use super::points::{ByValue, add, count, exposition, metrics, without_its_own};
use super::service::{Service, quick};
use super::until;

/// The latest value of each series.
fn latest(collector: &Collector) -> ByValue {
    let mut values = ByValue::new();
    for received in collector.received().iter() {
        add(&mut values, &received.request);
    }
    without_its_own(values)
}

/// Works, then works again, and compares each time.
fn arrives(collector: &Collector, config: OtlpConfig) {
    let service = Service::new(config);
    for number in 1..=3 {
        service.work(number);
        let expected = exposition(&service.monitoring);
        assert!(expected.len() > 60, "{}", expected.len());
        until("the collector has what the exposition shows", || latest(collector) == expected);
    }
    let status = service.monitoring.otlp_status().unwrap();
    assert_eq!(status.produced, status.sent + status.queued, "{status:?}");
}

fn grpc(collector: &Collector) -> OtlpConfig {
    quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url())
}

#[test]
fn by_http_the_collector_gets_what_the_exposition_shows() {
    let collector = Collector::start(Protocol::Http);
    arrives(&collector, quick().endpoint(collector.metrics_url()));
    let received = collector.received();
    assert!(received.iter().all(|one| one.path == "/v1/metrics"));
    assert!(received.iter().all(|one| one.headers["content-type"] == "application/x-protobuf"));
    assert!(received.iter().all(|one| !one.headers.contains_key("content-encoding")));
}

#[test]
fn by_grpc_the_collector_gets_what_the_exposition_shows() {
    let collector = Collector::start(Protocol::Grpc);
    arrives(&collector, grpc(&collector));
}

#[test]
fn compressed_requests_say_the_same() {
    let collector = Collector::start(Protocol::Http);
    arrives(&collector, quick().endpoint(collector.metrics_url()).compression(OtlpCompression::Gzip));
    assert!(collector.received().iter().all(|one| one.headers["content-encoding"] == "gzip"));

    let collector = Collector::start(Protocol::Grpc);
    arrives(&collector, grpc(&collector).compression(OtlpCompression::Gzip));
    assert!(collector.received().iter().all(|one| one.headers["grpc-encoding"] == "gzip"));
}

#[test]
fn any_success_is_an_acceptance() {
    for status in [200, 202, 204] {
        let collector = Collector::start(Protocol::Http);
        collector.set(Mode::Silent(status));
        arrives(&collector, quick().endpoint(collector.metrics_url()));
    }
}

#[test]
fn every_request_has_the_headers_the_resource_and_the_scope() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let is_http = matches!(protocol, Protocol::Http);
        let collector = Collector::start(protocol);
        let config = if is_http { quick().endpoint(collector.metrics_url()) } else { grpc(&collector) };
        let config = config
            .header("Authorization", "Bearer 0123456789abcdef")
            .header("x-plan", "old")
            .header("X-Plan", "new")
            .resource_attribute("deployment.environment.name", "test")
            .resource_attribute("service.name", "ignored: the monitoring has a name");
        let service = Service::new(config);
        service.work(1);
        until("a request has come", || !collector.received().is_empty());
        let received = collector.received();
        let one = received.first().unwrap();
        assert_eq!(one.headers["authorization"], "Bearer 0123456789abcdef");
        assert_eq!(one.headers["x-plan"], "new");
        assert!(one.headers["user-agent"].starts_with("monitoring-core-OTLP-Exporter-Rust/"), "{:?}", one.headers);
        let resource = &one.request.resource_metrics[0];
        let attributes: BTreeMap<&str, &str> = resource
            .resource
            .as_ref()
            .unwrap()
            .attributes
            .iter()
            .map(|one| match one.value.as_ref().unwrap().value.as_ref().unwrap() {
                Value::StringValue(text) => (one.key.as_str(), text.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(attributes["service.name"], "acme");
        assert_eq!(attributes["deployment.environment.name"], "test");
        assert_eq!(attributes["telemetry.sdk.name"], "monitoring-core");
        assert_eq!(attributes["telemetry.sdk.language"], "rust");
        assert_eq!(attributes["service.instance.id"].len(), 36);
        let scope = resource.scope_metrics[0].scope.as_ref().unwrap();
        assert_eq!(scope.name, "monitoring-core");
        assert!(!scope.version.is_empty() && attributes["telemetry.sdk.version"] == scope.version);
    }
}

#[test]
fn names_and_units_are_those_of_opentelemetry() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(quick().endpoint(collector.metrics_url()));
    service.work(1);
    until("a request has come", || !collector.received().is_empty());
    let received = collector.received();
    let units: BTreeMap<&str, &str> =
        metrics(&received[0].request).map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    for (name, unit) in [
        ("acme.calls", "{thing}"),
        ("acme.time", "s"),
        ("acme.share", "1"),
        ("acme.size", "By"),
        ("acme.tenant.duration", "s"),
        ("monitoring.series", "{series}"),
    ] {
        assert_eq!(units.get(name), Some(&unit), "{name}");
    }
    // The resource says it.
    assert!(!units.contains_key("target.info"));
}

#[test]
fn a_tenant_over_its_budget_is_marked_as_overflow() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::small(quick().endpoint(collector.metrics_url()));
    service.work(1);
    let expected = exposition(&service.monitoring);
    assert!(expected.keys().any(|series| series.labels.get("tenant").is_some_and(|tenant| tenant == "__other__")));
    until("the collector has what the exposition shows", || latest(&collector) == expected);
}

#[test]
fn a_large_store_comes_in_small_requests() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(quick().endpoint(collector.metrics_url()));
    service.many(9_000);
    let expected = exposition(&service.monitoring);
    until("the collector has what the exposition shows", || latest(&collector) == expected);
    let received = collector.received();
    assert!(received.iter().any(|one| count(&one.request) == 2_000));
    assert!(received.iter().all(|one| count(&one.request) <= 2_000));
}
