//! What a tenant is shown: its own series, and nothing else.

use monitoring_tests::exposition::Samples;
use proptest::prelude::*;

use super::*;
use crate::{Counter, Tenant, TenantCounter, TenantGauge, TenantHistogram, Tier};

const REQUESTS: Descriptor = Descriptor::counter("test.requests", THINGS, "").labels(&["color", "name"]).per_tenant();
const LEVEL: Descriptor = Descriptor::gauge("test.level", THINGS, "").per_tenant();
const DURATION: Descriptor = Descriptor::histogram("test.duration", Unit::Seconds, &[1.0], "").per_tenant();
const PLATFORM: Descriptor = Descriptor::counter("test.platform", THINGS, "").labels(&["color", "name"]);

/// A service with some traffic of each of these tenants, and of none.
fn service(tenants: &[&str]) -> (Monitoring, Vec<Tenant>) {
    let monitoring = monitoring();
    let registry = monitoring.registry();
    let requests: TenantCounter<Labels> = registry.tenant_counter(&REQUESTS).unwrap();
    let level: TenantGauge<()> = registry.tenant_gauge(&LEVEL).unwrap();
    let duration: TenantHistogram<()> = registry.tenant_histogram(&DURATION).unwrap();
    let platform: Counter<Labels> = registry.counter(&PLATFORM).unwrap();
    let tenants: Vec<_> =
        tenants.iter().map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Free).unwrap()).collect();
    for &tenant in tenants.iter().chain(&[Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER]) {
        requests.add(tenant, labels(&monitoring, Color::Red, "/invoices"), 2);
        requests.add(tenant, labels(&monitoring, Color::None, "/users"), 3);
        level.set(tenant, (), 0.5);
        duration.record(tenant, (), Duration::from_millis(7));
        platform.add(labels(&monitoring, Color::Red, monitoring.tenants().id(tenant)), 1);
    }
    (monitoring, tenants)
}

#[test]
fn a_tenant_is_shown_its_own_series_of_the_per_tenant_metrics() {
    let (monitoring, tenants) = service(&["zeta", "acme", "beta"]);
    let text = bytes(monitoring.exposition_of(tenants[1], Format::Text));
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "# TYPE test_requests_total counter\n\
         test_requests_total{tenant=\"acme\",color=\"red\",name=\"/invoices\"} 2\n\
         test_requests_total{tenant=\"acme\",name=\"/users\"} 3\n\
         # TYPE test_level gauge\n\
         test_level{tenant=\"acme\"} 0.5\n\
         # TYPE test_duration_seconds histogram\n\
         test_duration_seconds_bucket{tenant=\"acme\",le=\"1\"} 1\n\
         test_duration_seconds_bucket{tenant=\"acme\",le=\"+Inf\"} 1\n\
         test_duration_seconds_sum{tenant=\"acme\"} 0.007\n\
         test_duration_seconds_count{tenant=\"acme\"} 1\n"
    );
}

#[test]
fn no_format_shows_anything_of_another_tenant_or_of_the_platform() {
    let ids = ["tenant-one", "tenant-two", "tenant-three"];
    let (monitoring, tenants) = service(&ids);
    for &format in FORMATS {
        for (id, &tenant) in ids.iter().zip(&tenants) {
            let shown = String::from_utf8_lossy(&bytes(monitoring.exposition_of(tenant, format))).into_owned();
            assert!(shown.contains(id), "{format:?}: {shown}");
            let foreign = ids.iter().filter(|other| *other != id).copied();
            let foreign = foreign.chain(["__none__", "__unknown__", "__other__", "target", "platform", "monitoring_"]);
            for other in foreign {
                assert!(!shown.contains(other), "{format:?}: {other} is shown to {id}: {shown}");
            }
        }
    }
}

#[test]
fn the_tenants_together_are_the_whole() {
    let (monitoring, tenants) = service(&["zeta", "acme"]);
    let samples = |exposition| -> Samples { String::from_utf8(bytes(exposition)).unwrap().parse().unwrap() };
    let whole = samples(monitoring.exposition());
    for tenant in tenants {
        let shown = samples(monitoring.exposition_of(tenant, Format::Text));
        let id = monitoring.tenants().id(tenant);
        let own = whole.iter().filter(|(series, _)| series.labels.get("tenant").is_some_and(|tenant| tenant == id));
        assert_eq!(own.count(), shown.len());
        assert!(shown.iter().all(|series| whole.iter().any(|other| other == series)));
    }
}

#[test]
fn nobody_is_shown_nothing() {
    let (monitoring, _) = service(&["acme"]);
    let (_elsewhere, foreign) = service(&["acme", "beta", "gamma"]);
    for tenant in [Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER].into_iter().chain(foreign) {
        assert_eq!(bytes(monitoring.exposition_of(tenant, Format::Text)), b"");
        assert_eq!(bytes(monitoring.exposition_of(tenant, Format::OpenMetrics)), b"# EOF\n");
        #[cfg(feature = "protobuf")]
        assert_eq!(bytes(monitoring.exposition_of(tenant, Format::Protobuf)), b"");
    }
}

#[test]
fn a_tenant_without_series_is_shown_an_empty_exposition() {
    let (monitoring, _) = service(&["acme"]);
    let idle = monitoring.tenants().register("idle".parse().unwrap(), Tier::Free).unwrap();
    assert_eq!(bytes(monitoring.exposition_of(idle, Format::Text)), b"");
    assert_eq!(bytes(monitoring.exposition_of(idle, Format::OpenMetrics)), b"# EOF\n");
}

#[test]
fn what_the_facade_names_after_a_tenant_is_the_platforms() {
    let (monitoring, tenants) = service(&["acme"]);
    #[cfg(feature = "metrics")]
    metrics::with_local_recorder(&crate::facade::FacadeRecorder::new(monitoring.registry().clone()), || {
        metrics::counter!("test_facade", "tenant" => "acme").increment(1);
    });
    for &format in FORMATS {
        let shown = bytes(monitoring.exposition_of(tenants[0], format));
        assert!(!String::from_utf8_lossy(&shown).contains("test_facade"), "{format:?}");
    }
}

proptest! {
    #[test]
    fn a_tenant_sees_its_own_counts_whatever_others_do(
        records in prop::collection::vec((0..4_usize, 0..3_usize, 1..100_u64), 0..60),
    ) {
        let ids = ["t-one", "t-two", "t-three", "t-four"];
        let monitoring = monitoring();
        let requests: TenantCounter<Labels> = monitoring.registry().tenant_counter(&REQUESTS).unwrap();
        let tenants: Vec<_> =
            ids.iter().map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Free).unwrap()).collect();
        let names = ["x", "y", "z"];
        for &(tenant, name, amount) in &records {
            requests.add(tenants[tenant], labels(&monitoring, Color::Red, names[name]), amount);
        }
        for (tenant, id) in ids.iter().enumerate() {
            let shown = bytes(monitoring.exposition_of(tenants[tenant], Format::Text));
            let shown: Samples = String::from_utf8(shown).unwrap().parse().unwrap();
            prop_assert!(shown.iter().all(|(series, _)| series.labels["tenant"] == *id));
            let expected: u64 = records.iter().filter(|record| record.0 == tenant).map(|record| record.2).sum();
            prop_assert_eq!(shown.sum("test_requests_total", &[]), expected as f64);
        }
    }
}
