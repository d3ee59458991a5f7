//! Row E12 where it is PostgreSQL that keeps tenants apart.

use std::time::Duration;

use futures_util::TryStreamExt;
use monitoring_core::{Monitoring, Tenant, TenantFutureExt, Tier};
use monitoring_sqlx::{PgPool, RowLevelSecurity};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::{PgBouncer, PostgreSql};
use monitoring_tests::{Fault, Proxy};
use sqlx::ConnectOptions;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

/// After this a test says that something hangs. Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
const BRIEF: Duration = Duration::from_millis(50);

/// Two tenants with the ids 1 and 2 of items of their own, and a pool of a role that must obey the policies.
async fn two_tenants(
    server: &PostgreSql,
    url: &str,
    security: RowLevelSecurity,
    connections: u32,
    configure: impl FnOnce(PgConnectOptions) -> PgConnectOptions,
) -> (Monitoring, PgPool, [Tenant; 2]) {
    let owner: PgConnectOptions = server.url().parse().unwrap();
    let mut owner = owner.connect().await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE item (id INT, tenant_id TEXT NOT NULL);
         INSERT INTO item VALUES (1, 'acme'), (2, 'zeta');
         ALTER TABLE item ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON item USING (tenant_id = current_setting('app.tenant_id', true))
             WITH CHECK (tenant_id = current_setting('app.tenant_id', true));
         CREATE ROLE service NOLOGIN; GRANT ALL ON item TO service; GRANT service TO CURRENT_USER;
         ALTER ROLE CURRENT_USER SET role = 'service';",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let monitoring = Monitoring::builder("test").build().unwrap();
    let tenants =
        ["acme", "zeta"].map(|id| monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap());
    let builder = if connections > 1 { PgPool::builder().transaction_pooler() } else { PgPool::builder() };
    let pool = builder
        .row_level_security(security)
        .options(PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE))
        .monitoring(&monitoring)
        .unwrap()
        .connect_with(configure(url.parse().unwrap()))
        .await
        .unwrap();
    (monitoring, pool, tenants)
}

/// The ids of all items, as far as one sees them. It has no WHERE.
async fn seen(pool: &PgPool) -> Vec<i32> {
    sqlx::query_scalar("SELECT id FROM item ORDER BY id").fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_on_one_connection_two_tenants_see_their_own_rows_only() {
    let server = PostgreSql::start().unwrap();
    let (_monitoring, pool, [acme, zeta]) =
        two_tenants(&server, &server.url(), RowLevelSecurity::per_session(), 1, |options| options).await;
    let work = |tenant: Tenant, own: i32| {
        let pool = pool.clone();
        let work = async move {
            for _ in 0..100 {
                assert_eq!(seen(&pool).await, [own]);
                let mut transaction = pool.begin().await.unwrap();
                let ids: Vec<i32> =
                    sqlx::query_scalar("SELECT id FROM item").fetch_all(&mut *transaction).await.unwrap();
                assert_eq!(ids, [own]);
                drop(transaction);
                tokio::task::yield_now().await;
            }
        };
        tokio::spawn(work.in_tenant(tenant))
    };
    let nobody = {
        let pool = pool.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                assert!(seen(&pool).await.is_empty());
            }
        })
    };
    for task in [work(acme, 1), work(zeta, 2), nobody] {
        task.await.unwrap();
    }
    // Past the wrapper, too; and the wrapper gives no connection that nobody was told about.
    let past = async { sqlx::query_scalar::<_, i32>("SELECT id FROM item").fetch_all(pool.as_sqlx()).await.unwrap() };
    assert_eq!(past.in_tenant(zeta).await, [2]);
    assert!(pool.try_acquire().is_none());

    // Nobody writes for another one.
    let forged = async { sqlx::query("INSERT INTO item VALUES (3, 'zeta')").execute(&pool).await };
    assert!(forged.in_tenant(acme).await.is_err());
}

#[tokio::test]
async fn e12_a_stream_has_the_rows_of_who_asked_for_it_wherever_it_is_polled() {
    let server = PostgreSql::start().unwrap();
    let (_monitoring, pool, [acme, zeta]) =
        two_tenants(&server, &server.url(), RowLevelSecurity::per_session(), 1, |options| options).await;
    // As the body of a response is: made for a tenant, and polled where no scope is left, or another one.
    let asked = || sqlx::query_scalar::<_, i32>("SELECT id FROM item").fetch(&pool);
    let stream = acme.scope(async { asked() }).await;
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap(), [1]);
    let stream = acme.scope(async { asked() }).await;
    assert_eq!(stream.try_collect::<Vec<_>>().in_tenant(zeta).await.unwrap(), [1]);
}

#[tokio::test]
async fn e12_a_connection_that_could_not_be_told_the_tenant_is_not_handed_out() {
    let server = PostgreSql::start().unwrap();
    let proxy = Proxy::to(server.address()).unwrap();
    let url = server.url().replace(&server.address().to_string(), &proxy.address().to_string());
    let (_monitoring, pool, [acme, zeta]) =
        two_tenants(&server, &url, RowLevelSecurity::per_session(), 1, |options| options).await;
    assert_eq!(seen(&pool).in_tenant(acme).await, [1]);

    // The connection that acme had is there, and then it is not; a new one is told.
    proxy.when_sent(b"app.tenant_id", Fault::CutBefore);
    assert_eq!(seen(&pool).in_tenant(zeta).await, [2]);
    assert_eq!(proxy.struck(), 1);

    // Given up meanwhile, it is not there for the next one either, as what it was before.
    proxy.when_sent(b"app.tenant_id", Fault::StallReplies);
    assert!(timeout(BRIEF, pool.acquire()).in_tenant(acme).await.is_err());
    proxy.resume();
    assert_eq!(timeout(PATIENCE, seen(&pool)).in_tenant(zeta).await.unwrap(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_through_a_pooler_in_transaction_mode_too() {
    let server = PostgreSql::start().unwrap();
    let pooler = PgBouncer::start(&server, 2).unwrap();
    let (monitoring, pool, [acme, zeta]) =
        two_tenants(&server, pooler.url(), RowLevelSecurity::per_transaction(), 8, |options| {
            options.statement_cache_capacity(0)
        })
        .await;
    let work = |tenant: Tenant, own: i32| {
        let pool = pool.clone();
        let work = async move {
            for _ in 0..50 {
                let mut transaction = pool.begin().await.unwrap();
                let ids: Vec<i32> =
                    sqlx::query_scalar("SELECT id FROM item").fetch_all(&mut *transaction).await.unwrap();
                assert_eq!(ids, [own]);
                transaction.commit().await.unwrap();
            }
        };
        tokio::spawn(work.in_tenant(tenant))
    };
    for task in [work(acme, 1), work(zeta, 2), work(acme, 1), work(zeta, 2)] {
        task.await.unwrap();
    }
    // A statement on the pool is a transaction of its own.
    assert_eq!(seen(&pool).in_tenant(zeta).await, [2]);
    // Outside of one nobody is told who it is: there is nothing to see.
    let outside = async {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::raw_sql("SELECT id FROM item").fetch_all(&mut *connection).await.unwrap().len()
    };
    assert_eq!(outside.in_tenant(acme).await, 0);
    let samples: Samples = monitoring.render().parse().unwrap();
    assert_eq!(samples.sum("saas_db_transaction_duration_seconds_count", &[("outcome", "committed")]), 201.0);
}

#[tokio::test]
async fn e12_what_a_pooler_hands_on_has_no_tenant_whatever_was_asked_for() {
    let server = PostgreSql::start().unwrap();
    let pooler = PgBouncer::start(&server, 1).unwrap();
    let (_monitoring, pool, [acme, _]) =
        two_tenants(&server, pooler.url(), RowLevelSecurity::per_session(), 2, |options| {
            options.statement_cache_capacity(0)
        })
        .await;
    let own = async {
        drop(pool.acquire().await.unwrap());
        let mut transaction = pool.begin().await.unwrap();
        let ids: Vec<i32> = sqlx::query_scalar("SELECT id FROM item").fetch_all(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        ids
    };
    assert_eq!(own.in_tenant(acme).await, [1]);

    // The next client of the pooler gets the same connection of the server.
    let next: PgConnectOptions = pooler.url().parse().unwrap();
    let mut next = next.connect().await.unwrap();
    assert_eq!(sqlx::raw_sql("SELECT id FROM item").fetch_all(&mut next).await.unwrap().len(), 0);
}

#[tokio::test]
async fn e12_a_begin_that_is_given_up_while_the_tenant_is_told_leaves_no_transaction_to_another_tenant() {
    let server = PostgreSql::start().unwrap();
    let proxy = Proxy::to(server.address()).unwrap();
    let url = server.url().replace(&server.address().to_string(), &proxy.address().to_string());
    let (_monitoring, pool, [acme, zeta]) =
        two_tenants(&server, &url, RowLevelSecurity::per_transaction(), 1, |options| options).await;
    let mut connection = pool.acquire().await.unwrap();

    proxy.when_sent(b"set_config", Fault::StallReplies);
    assert!(timeout(BRIEF, connection.begin()).in_tenant(acme).await.is_err());
    proxy.resume();

    let own = async {
        let mut transaction = timeout(PATIENCE, connection.begin()).await.unwrap().unwrap();
        let ids: Vec<i32> = sqlx::query_scalar("SELECT id FROM item").fetch_all(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        ids
    };
    assert_eq!(own.in_tenant(zeta).await, [2]);
}

#[tokio::test]
async fn e12_a_role_for_which_policies_do_not_hold_gets_no_connection() {
    let server = PostgreSql::start().unwrap();
    let open = async |security| {
        let impatient = PoolOptions::new().acquire_timeout(Duration::from_secs(1));
        let builder = PgPool::builder().row_level_security(security).options(impatient);
        builder.connect(&server.url()).await
    };
    assert!(open(RowLevelSecurity::per_session()).await.is_err());
    let error = open(RowLevelSecurity::per_transaction()).await.unwrap().begin().await.unwrap_err();
    assert!(matches!(error, sqlx::Error::Configuration(_)), "{error}");
}
