//! Whose time it was.

use futures_util::TryStreamExt;
use monitoring_core::{Tenant, TenantFutureExt, Tier};
use sqlx::Executor;

use crate::Bench;

impl Bench {
    fn tenant(&self, id: &str) -> Tenant {
        self.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()
    }

    fn time_of(&self, tenant: &str) -> f64 {
        let labels = [("tenant", tenant), ("db_system_name", "sqlite")];
        self.samples().value("saas_tenant_db_time_seconds_total", &labels).unwrap_or(0.0)
    }
}

#[tokio::test]
async fn the_time_of_an_operation_is_that_of_the_tenant_it_was_done_for() {
    let bench = Bench::new().await;
    let (acme, zeta) = (bench.tenant("acme"), bench.tenant("zeta"));
    (&bench.pool).execute("SELECT 1").in_tenant(acme).await.unwrap();
    assert!(bench.time_of("acme") > 0.0);
    assert_eq!(bench.time_of("zeta"), 0.0);

    async {
        let mut transaction = bench.pool.begin().await.unwrap();
        (&mut *transaction).execute("SELECT 1").await.unwrap();
        transaction.commit().await.unwrap();
    }
    .in_tenant(zeta)
    .await;
    assert!(bench.time_of("zeta") > 0.0);

    (&bench.pool).execute("SELECT 1").await.unwrap();
    assert!(bench.time_of("__none__") > 0.0);
    assert_tenants_account_for_all_time(&bench);
}

/// Nothing is counted twice, and nothing is left out.
fn assert_tenants_account_for_all_time(bench: &Bench) {
    let samples = bench.samples();
    let of_tenants = samples.sum("saas_tenant_db_time_seconds_total", &[]);
    let of_all = samples.sum("db_client_operation_duration_seconds_sum", &[]);
    assert!((of_tenants - of_all).abs() < 1e-6, "{of_tenants} s of tenants, {of_all} s of all");
}

#[tokio::test]
async fn a_stream_belongs_to_the_tenant_that_asked_for_it_wherever_it_is_polled() {
    let bench = Bench::new().await;
    let (acme, zeta) = (bench.tenant("acme"), bench.tenant("zeta"));
    let rows = {
        let _acme = acme.enter();
        sqlx::query("SELECT id FROM item").fetch(&bench.pool)
    };
    let rows: Vec<_> = rows.try_collect().in_tenant(zeta).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(bench.time_of("acme") > 0.0);
    assert_eq!(bench.time_of("zeta"), 0.0);
}

#[tokio::test]
async fn a_stream_that_nobody_in_particular_asked_for_belongs_to_the_tenant_that_polls_it() {
    let bench = Bench::new().await;
    let acme = bench.tenant("acme");
    let rows = sqlx::query("SELECT id FROM item").fetch(&bench.pool);
    rows.try_collect::<Vec<_>>().in_tenant(acme).await.unwrap();
    assert!(bench.time_of("acme") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_that_share_a_connection_are_not_mixed_up() {
    let bench = Bench::new().await;
    let tasks = ["acme", "zeta", "hooli"].map(|name| {
        let (tenant, pool) = (bench.tenant(name), bench.pool.clone());
        let work = async move {
            for _ in 0..50 {
                assert_eq!(Tenant::current(), tenant);
                (&pool).execute("SELECT 1").await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::spawn(work.in_tenant(tenant))
    });
    for task in tasks {
        task.await.unwrap();
    }
    bench.assert_operations(&[("SELECT", 150)]);
    for name in ["acme", "zeta", "hooli"] {
        assert!(bench.time_of(name) > 0.0);
    }
    assert_eq!(bench.time_of("__none__"), 0.0);
    assert_tenants_account_for_all_time(&bench);
}
