//! The cache: what it keeps, for whom, and what it counts.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use monitoring_core::{Monitoring, TenantFutureExt, Tier};
use monitoring_redis::redis::{AsyncCommands, cmd};
use monitoring_redis::{Cache, CacheBuilder, CacheError};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::bench::{Bench, CANARY, DEADLINE, pool};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Invoice {
    cents: i64,
    customer: String,
}

fn invoice(cents: i64) -> Invoice {
    Invoice { cents, customer: "Ünal & Söhne\n".to_owned() }
}

pub(crate) fn builder<V>(bench: &Bench, name: &str) -> CacheBuilder<V> {
    // A machine that is busy is no failure of Redis.
    Cache::builder(name).timeout(DEADLINE).max_wait(DEADLINE).monitoring(&bench.monitoring).unwrap()
}

pub(crate) fn cache<V>(bench: &Bench, name: &str) -> Cache<V> {
    builder(bench, name).build(bench.pool.clone()).unwrap()
}

async fn fetch(cache: &Cache<Invoice>, key: &str, cents: i64) -> i64 {
    cache.get_or_compute(key, || async { Ok::<_, Infallible>(invoice(cents)) }).await.unwrap().cents
}

#[tokio::test]
async fn a_value_is_computed_once_and_then_kept_for_its_time() {
    let bench = Bench::new();
    let invoices = builder(&bench, "invoices").ttl(Duration::from_secs(60)).build(bench.pool.clone()).unwrap();
    async {
        assert_eq!(fetch(&invoices, "42", 1).await, 1);
        assert_eq!(fetch(&invoices, "42", 2).await, 1);
        assert_eq!(invoices.get("42").await, Some(invoice(1)));
        assert_eq!(invoices.get("43").await, None);
    }
    .in_tenant(bench.tenant("acme"))
    .await;

    let left: i64 = bench.connection().await.pttl("acme/invoices/42").await.unwrap();
    assert!(left > 0 && left <= 60_000, "{left}");
    // Counted by the cache under its own name, not once more by the pool under the pool's.
    assert_eq!(bench.lookups("acme", "invoices"), (2.0, 2.0, 0.0));
    assert_eq!(bench.lookups("acme", "cache"), (0.0, 0.0, 0.0));
    assert_eq!((bench.count("GET", ""), bench.count("SET", "")), (4.0, 1.0));
}

#[tokio::test]
async fn what_is_inserted_is_read_and_what_is_removed_is_not() {
    let bench = Bench::new();
    let invoices = cache(&bench, "invoices");
    async {
        invoices.insert("42", &invoice(1)).await.unwrap();
        assert_eq!(fetch(&invoices, "42", 2).await, 1);
        invoices.insert("42", &invoice(3)).await.unwrap();
        assert_eq!(invoices.get("42").await, Some(invoice(3)));
        invoices.remove("42").await.unwrap();
        invoices.remove("42").await.unwrap();
        assert_eq!(fetch(&invoices, "42", 4).await, 4);
    }
    .in_tenant(bench.tenant("acme"))
    .await;
}

#[tokio::test]
async fn tenants_have_entries_of_their_own() {
    let bench = Bench::new();
    let (acme, zeta) = (bench.tenant("acme"), bench.tenant("zeta"));
    let invoices = cache(&bench, "invoices");
    assert_eq!(fetch(&invoices, "42", 1).in_tenant(acme).await, 1);
    assert_eq!(invoices.get("42").in_tenant(zeta).await, None);
    assert_eq!(fetch(&invoices, "42", 2).in_tenant(zeta).await, 2);
    invoices.remove("42").in_tenant(zeta).await.unwrap();
    assert_eq!(fetch(&invoices, "42", 3).in_tenant(acme).await, 1);

    assert_eq!(bench.lookups("acme", "invoices"), (1.0, 1.0, 0.0));
    assert_eq!(bench.lookups("zeta", "invoices"), (0.0, 2.0, 0.0));
}

#[tokio::test]
async fn a_cache_of_all_tenants_is_one_and_counts_for_each() {
    let bench = Bench::new();
    let (acme, zeta) = (bench.tenant("acme"), bench.tenant("zeta"));
    let countries = builder(&bench, "countries").shared_by_all_tenants().build(bench.pool.clone()).unwrap();
    let apart: Cache<Invoice> = cache(&bench, "countries");
    assert_eq!(fetch(&countries, "all", 1).in_tenant(acme).await, 1);
    assert_eq!(fetch(&countries, "all", 2).in_tenant(zeta).await, 1);
    assert_eq!(fetch(&countries, "all", 3).await, 1);
    assert_eq!(apart.get("all").in_tenant(acme).await, None);

    assert_eq!(bench.lookups("acme", "countries"), (0.0, 2.0, 0.0));
    assert_eq!(bench.lookups("zeta", "countries"), (1.0, 0.0, 0.0));
    assert_eq!(bench.lookups("__none__", "countries"), (1.0, 0.0, 0.0));
}

#[tokio::test]
async fn without_a_registered_tenant_nothing_is_kept() {
    let bench = Bench::new();
    let invoices = cache(&bench, "invoices");
    let elsewhere = Monitoring::builder("elsewhere").build().unwrap();
    let stranger = elsewhere.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let unknown = bench.monitoring.tenants().lookup("nobody");
    bench.tenant("acme");
    for (cents, tenant) in [stranger, unknown, monitoring_core::Tenant::NONE].into_iter().enumerate() {
        let cents = cents as i64;
        assert_eq!(fetch(&invoices, "42", cents).in_tenant(tenant).await, cents);
        assert_eq!(invoices.get("42").in_tenant(tenant).await, None);
        let error = invoices.insert("42", &invoice(1)).in_tenant(tenant).await.unwrap_err();
        assert!(matches!(error, CacheError::NoTenant { .. }), "{error}");
        assert!(matches!(invoices.remove("42").in_tenant(tenant).await, Err(CacheError::NoTenant { .. })));
    }

    let keys: u64 = cmd("DBSIZE").query_async(&mut bench.connection().await).await.unwrap();
    assert_eq!(keys, 0);
    assert_eq!(bench.samples().sum("saas_cache_requests_total", &[]), 0.0);
}

#[tokio::test]
async fn a_value_under_the_wrong_tenant_or_of_another_form_is_computed_anew() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let invoices = cache(&bench, "invoices");
    let json = serde_json::to_string(&invoice(1)).unwrap();
    for (cents, planted) in [format!("zeta\n{json}"), json.clone(), "acme\n{}".into(), String::new()].iter().enumerate()
    {
        let cents = cents as i64 + 10;
        let _: () = bench.connection().await.set("acme/invoices/42", planted).await.unwrap();
        assert_eq!(invoices.get("42").in_tenant(acme).await, None, "{planted:?}");
        assert_eq!(fetch(&invoices, "42", cents).in_tenant(acme).await, cents, "{planted:?}");
        assert_eq!(fetch(&invoices, "42", 0).in_tenant(acme).await, cents, "it was written over: {planted:?}");
    }
    // Not a text at all.
    let _: () = cmd("DEL").arg("acme/invoices/42").query_async(&mut bench.connection().await).await.unwrap();
    let _: () = bench.connection().await.lpush("acme/invoices/42", 1).await.unwrap();
    assert_eq!(fetch(&invoices, "42", 5).in_tenant(acme).await, 5);

    assert_eq!(bench.lookups("acme", "invoices"), (4.0, 0.0, 9.0));
    // Seen twice, by `get` and by `fetch`; what is merely of another form is nobody else's data.
    let violations = [("tenant", "acme"), ("layer", "cache")];
    assert_eq!(bench.samples().value("saas_tenant_isolation_violations_total", &violations), Some(2.0));
}

#[tokio::test]
async fn no_failure_of_redis_keeps_a_value_back() {
    let mut bench = Bench::new();
    let acme = bench.tenant("acme");
    let invoices = cache(&bench, "invoices");
    bench.server.process().stop(DEADLINE);
    assert_eq!(fetch(&invoices, "42", 1).in_tenant(acme).await, 1);
    assert_eq!(invoices.get("42").in_tenant(acme).await, None);
    let error = invoices.remove("42").in_tenant(acme).await.unwrap_err();
    assert!(matches!(error, CacheError::Pool { .. }), "{error}");
    assert!(error.to_string().starts_with("the cache `invoices` gets no connection: "), "{error}");

    assert_eq!(bench.lookups("acme", "invoices"), (0.0, 0.0, 2.0));
    // A server that is not there is not asked to keep what it could not be asked for.
    assert_eq!(bench.count("CONNECT", "connection_refused"), 3.0);
}

#[tokio::test]
async fn a_redis_that_hangs_costs_no_more_than_the_time_out() {
    let mut bench = Bench::new();
    let acme = bench.tenant("acme");
    let short = Duration::from_millis(30);
    let invoices = builder(&bench, "invoices").timeout(short).build(bench.pool.clone()).unwrap();
    drop(bench.connection().await);
    bench.signal(Signal::STOP);
    assert_eq!(fetch(&invoices, "42", 1).in_tenant(acme).await, 1);
    let error = invoices.insert("42", &invoice(1)).in_tenant(acme).await.unwrap_err();
    bench.signal(Signal::CONT);
    assert!(matches!(error, CacheError::Timeout { timeout, .. } if timeout == short), "{error}");

    assert_eq!(bench.lookups("acme", "invoices"), (0.0, 0.0, 1.0));
}

#[tokio::test]
async fn an_error_of_the_computation_is_returned_and_not_kept() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let invoices: Cache<Invoice> = cache(&bench, "invoices");
    let calls = Cell::new(0);
    let failing = || async {
        calls.set(calls.get() + 1);
        Err::<Invoice, _>("no such invoice")
    };
    for _call in 0..2 {
        assert_eq!(invoices.get_or_compute("42", failing).in_tenant(acme).await, Err("no such invoice"));
    }
    assert_eq!(calls.get(), 2);
    assert_eq!(bench.lookups("acme", "invoices"), (0.0, 2.0, 0.0));
}

#[tokio::test]
async fn neither_keys_nor_values_get_into_metrics_errors_or_debug() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let server = monitoring_tests::servers::Redis::start_with("maxmemory 1\nmaxmemory-policy noeviction").unwrap();
    let full = pool(&bench.monitoring, &server.url(), "full", 1);
    let names: Cache<String> = builder(&bench, "names").build(full).unwrap();
    let text = || format!("{CANARY}:user@example.org");
    let error = names.insert(&text(), &text()).in_tenant(acme).await.unwrap_err();
    let value = names.get_or_compute(&text(), || async { Ok::<_, Infallible>(text()) }).in_tenant(acme).await;
    assert_eq!(value, Ok(text()));

    let rendered = bench.monitoring.render();
    let shown = format!("{error} {error:?} {names:?} {rendered}");
    assert!(matches!(error, CacheError::Redis { .. }), "{error}");
    assert!(!shown.contains(CANARY) && !shown.contains("example.org"), "{shown}");
    assert_eq!(bench.count("SET", "resource_exhausted"), 2.0);
}
