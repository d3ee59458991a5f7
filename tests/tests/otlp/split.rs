//! A request for each tenant.

use std::collections::BTreeSet;

use monitoring_core::Monitoring;
use monitoring_core::otlp::OtlpProtocol;
use monitoring_core::runtime::RuntimeConfig;

use super::collector::{Collector, Mode, Protocol, Received};
use super::points::{ByValue, add, exposition, tenants, without_its_own};
use super::service::{Service, quick};
use super::until;

const HEADER: &str = "x-scope-orgid";

/// Panics if a request has points that are not its tenant's; gives the tenants that have had requests.
fn owners(received: &[Received], platform: Option<&str>) -> BTreeSet<String> {
    let mut owners = BTreeSet::new();
    for one in received {
        let header = one.headers.get(HEADER).map(String::as_str);
        for tenant in tenants(&one.request) {
            let registered = tenant.as_deref().filter(|tenant| !tenant.starts_with("__"));
            assert_eq!(header, registered.or(platform), "a point of {tenant:?} in a request of {header:?}");
        }
        owners.extend(header.map(str::to_owned));
    }
    owners
}

fn latest(received: &[Received]) -> ByValue {
    let mut values = ByValue::new();
    for one in received {
        add(&mut values, &one.request);
    }
    without_its_own(values)
}

#[test]
fn no_request_has_points_of_two_tenants() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let is_http = matches!(protocol, Protocol::Http);
        let collector = Collector::start(protocol);
        let config = if is_http {
            quick().endpoint(collector.metrics_url())
        } else {
            quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url())
        };
        let service = Service::new(config.tenant_header("X-Scope-OrgID"));
        service.work(3);
        let expected = exposition(&service.monitoring);
        until("the collector has what the exposition shows", || latest(&collector.received()) == expected);
        let owners = owners(&collector.received(), None);
        assert_eq!(owners, ["alpha", "beta", "gamma"].map(str::to_owned).into());
    }
}

#[test]
fn what_belongs_to_no_tenant_can_have_an_owner_too() {
    let collector = Collector::start(Protocol::Http);
    let config = quick().endpoint(collector.metrics_url()).tenant_header("X-Scope-OrgID");
    let service = Service::new(config.header("X-Scope-OrgID", "platform"));
    service.work(1);
    let expected = exposition(&service.monitoring);
    until("the collector has what the exposition shows", || latest(&collector.received()) == expected);
    let owners = owners(&collector.received(), Some("platform"));
    assert_eq!(owners, ["alpha", "beta", "gamma", "platform"].map(str::to_owned).into());
}

#[test]
fn what_the_facade_records_for_a_tenant_is_that_tenants() {
    monitoring_tests::in_own_process("split::what_the_facade_records_for_a_tenant_is_that_tenants", || {
        let collector = Collector::start(Protocol::Http);
        let config = quick().endpoint(collector.metrics_url()).tenant_header("X-Scope-OrgID");
        // What is compared is what the test records: nothing else may change.
        let builder = Monitoring::builder("acme").runtime(RuntimeConfig::off()).otlp(config);
        let service = Service::of(builder.install().unwrap());
        for tenant in ["alpha", "beta", "nobody"] {
            metrics::counter!("facade_calls", "tenant" => tenant, "kind" => "a").increment(7);
            metrics::histogram!("facade_seconds", "tenant" => tenant).record(0.25);
        }
        metrics::gauge!("facade_level").set(2.5);
        let expected = exposition(&service.monitoring);
        assert!(expected.keys().filter(|series| series.name == "facade_calls").count() == 3, "{expected:?}");
        until("the collector has what the exposition shows", || latest(&collector.received()) == expected);
        assert_eq!(owners(&collector.received(), None), ["alpha", "beta"].map(str::to_owned).into());
    })
    .unwrap();
}

#[test]
fn a_limit_of_one_tenant_does_not_hold_up_the_others() {
    let collector = Collector::start(Protocol::Http);
    collector.set(Mode::Fail(429, Some(3_600)));
    let config = quick().endpoint(collector.metrics_url()).tenant_header("X-Scope-OrgID");
    let service = Service::new(config);
    service.work(1);
    // All are refused, and yet each has its turn.
    until("every tenant was tried", || owners(&collector.received(), None).len() == 3);
    collector.set(Mode::Accept);
    let expected = exposition(&service.monitoring);
    until("the collector has what the exposition shows", || latest(&collector.received()) == expected);
}
