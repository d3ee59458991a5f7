//! Whatever the texts and the values are, independent parsers read back what was recorded through the typed handles.

use std::time::Duration;

use monitoring_core::{Counter, Gauge, Histogram, Monitoring, TenantCounter, TenantHistogram};
use proptest::prelude::*;

use super::expected::Expected;
use super::metrics::{DURATION, LEVEL, PLATFORM, Route, SIZE, TENANTS, tenant};
use super::texts::{number, tenant_id, text};

const KNOWN: &[&str] = &["acme", "Zeta.Corp_7:eu-west-1", "umbrella"];

/// The longest label value, in bytes.
const MAX_LABEL: usize = 256;

/// One record into each of the metrics.
#[derive(Debug)]
struct Record {
    route: String,
    tenant: String,
    whole: u64,
    nanoseconds: u64,
    level: f64,
}

fn record() -> impl Strategy<Value = Record> {
    let level =
        prop_oneof![any::<f64>(), (-1e6..1e6_f64), Just(f64::NAN), Just(f64::INFINITY), Just(f64::MIN_POSITIVE)];
    let record = (text(), tenant_id(KNOWN), number(), prop_oneof![number(), 0..20_000_000_000_u64], level);
    record.prop_map(|(route, tenant, whole, nanoseconds, level)| Record { route, tenant, whole, nanoseconds, level })
}

proptest! {
    // A case is many records, because reading them takes a process, and 16 384 series are enough for one.
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_label_and_any_tenant_is_read_back_as_it_was_recorded(records in prop::collection::vec(record(), 200..300)) {
        let monitoring = Monitoring::builder("read\"back\\\n").build().unwrap();
        let registry = monitoring.registry();
        let platform: Counter<Route> = registry.counter(&PLATFORM).unwrap();
        let of_tenants: TenantCounter<Route> = registry.tenant_counter(&TENANTS).unwrap();
        let durations: TenantHistogram<Route> = registry.tenant_histogram(&DURATION).unwrap();
        let sizes: Histogram<Route, u64> = registry.histogram(&SIZE).unwrap();
        let levels: Gauge<Route> = registry.gauge(&LEVEL).unwrap();
        for id in KNOWN {
            tenant(&monitoring, id);
        }

        let mut expected = Expected::default();
        let mut rejected = 0;
        for Record { route, tenant, whole, nanoseconds, level } in &records {
            let labels = Route::new(&monitoring, route);
            let tenant_handle = monitoring.tenants().lookup(tenant);
            let time = Duration::from_nanos(*nanoseconds);
            platform.add(labels, *whole);
            of_tenants.add(tenant_handle, labels, *whole);
            durations.record(tenant_handle, labels, time);
            sizes.record(labels, *whole);
            levels.set(labels, *level);

            let route = if route.len() > MAX_LABEL { "__other__" } else { route };
            let tenant = if KNOWN.contains(&tenant.as_str()) { tenant } else { "__unknown__" };
            let (of_platform, of_tenant) = ([("route", route)], [("tenant", tenant), ("route", route)]);
            expected.add("truth_platform_total", &of_platform, *whole);
            expected.add("truth_tenants_total", &of_tenant, *whole);
            expected.observe_seconds("truth_duration_seconds", &of_tenant, DURATION.buckets(), time);
            expected.observe("truth_size_bytes", &of_platform, &SIZE.buckets().iter().map(|bound| *bound as u64).collect::<Vec<_>>(), *whole);
            if level.is_finite() {
                expected.set("truth_level", &of_platform, *level);
            } else {
                rejected += 1;
            }
        }
        expected.set("target_info", &[("service_name", "read\"back\\\n")], 1.0);
        for (reason, count) in [("not_finite", rejected), ("negative", 0), ("overflow", 0), ("name_clash", 0), ("too_many_names", 0)] {
            expected.add("monitoring_rejected_samples_total", &[("reason", reason)], count);
        }
        expected.check(&monitoring, &["truth_", "target_info", "monitoring_rejected_samples"]);
    }
}
