//! The SQL wrapper beside another one, and beside what a team writes by hand.
//!
//! The work: `SELECT 1` on an SQLite database in memory, through a pool of one connection, by one of 1 000 tenants. SQLite
//! answers on a thread of its own, and most of the time is the wait for it, which says nothing of the wrappers: what is
//! measured is the processor's time of the thread that asks.

use std::error::Error;
use std::time::Instant;

use metrics::Label;
use monitoring_benches::{Kind, Row, works};
use monitoring_core::{Monitoring, Tenant, Tier};
use opentelemetry::global;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::runtime::Runtime;

use crate::measure::{Effort, Shuffle, Variant, base, measure, over, row};
use crate::stores::metrics_exporter;

const BARE: &str = "sqlx";
const OURS: &str = "monitoring-sqlx";
const STATEMENT: &str = "SELECT 1";
const TENANTS: usize = 1_000;

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let effort =
        if quick { Effort { rounds: 11, iterations: 1_000 } } else { Effort { rounds: 31, iterations: 2_000 } };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exporter = metrics_exporter::installed()?;
    let reader = opentelemetry_prometheus::exporter().with_registry(prometheus::Registry::new()).build()?;
    global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader).build());

    let monitoring = Monitoring::builder("bench").build()?;
    let names: Vec<String> = (0..TENANTS).map(|index| format!("tenant-{index:04}")).collect();
    let tenants = names
        .iter()
        .map(|name| Ok(monitoring.tenants().register(name.parse()?, Tier::Standard)?))
        .collect::<Result<Vec<Tenant>, Box<dyn Error>>>()?;

    let bare = pool(&runtime)?;
    let by_hand = pool(&runtime)?;
    let open_telemetry = {
        let _entered = runtime.enter();
        sqlx_otel::PoolBuilder::from(pool(&runtime)?).build()
    };
    let ours = monitoring_sqlx::SqlitePool::builder().monitoring(&monitoring)?.wrap(pool(&runtime)?);

    // Every variant pays for finding a tenant, and for the loop.
    let tenants = &tenants;
    let variants = [
        Variant::new(BARE, Kind::Floor, |seed, iterations| {
            repeat(&runtime, seed, iterations, async |_| sqlx::query(STATEMENT).fetch_one(&bare).await.is_ok());
        }),
        Variant::new(OURS, Kind::Ours, |seed, iterations| {
            repeat(&runtime, seed, iterations, async |tenant| {
                let _entered = tenants.get(tenant).map(|tenant| tenant.enter());
                sqlx::query(STATEMENT).fetch_one(&ours).await.is_ok()
            });
        }),
        Variant::new("sqlx-otel, no tenant, with spans", Kind::Floor, |seed, iterations| {
            repeat(&runtime, seed, iterations, async |_| {
                sqlx::query(STATEMENT).fetch_one(&open_telemetry).await.is_ok()
            });
        }),
        Variant::new("by hand on metrics + metrics-exporter-prometheus", Kind::Peer, |seed, iterations| {
            repeat(&runtime, seed, iterations, async |tenant| {
                let start = Instant::now();
                let is_ok = sqlx::query(STATEMENT).fetch_one(&by_hand).await.is_ok();
                let tenant = names.get(tenant).cloned().unwrap_or_default();
                let labels = vec![
                    Label::from_static_parts("db_operation_name", "SELECT"),
                    Label::from_static_parts("error_type", if is_ok { "" } else { "_OTHER" }),
                ];
                metrics::histogram!("db_client_operation_duration_seconds", labels).record(start.elapsed());
                metrics::counter!("tenant_db_time_microseconds", vec![Label::new("tenant", tenant)])
                    .increment(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
                is_ok
            });
        })
        .maintained(|| exporter.run_upkeep()),
    ];
    let variants = variants.map(Variant::by_processor_time);
    let costs = measure(&variants, 1, effort);
    println!("bare sqlx: {:.0} ns", base(&costs, BARE, |cost| cost.nanoseconds));
    let time = over(&costs, BARE, |cost| cost.nanoseconds);
    let allocations = over(&costs, BARE, |cost| cost.allocations);
    Ok(vec![
        row(&works::SQL_TIME, OURS, &time, |cost| cost.nanoseconds),
        row(&works::SQL_ALLOCATIONS, OURS, &allocations, |cost| cost.allocations),
    ])
}

fn pool(runtime: &Runtime) -> Result<SqlitePool, sqlx::Error> {
    runtime.block_on(SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:"))
}

/// Does the work that often, each time for another tenant.
fn repeat(runtime: &Runtime, seed: u64, iterations: u32, work: impl AsyncFn(usize) -> bool) {
    let mut shuffle = Shuffle::new(seed);
    let done = runtime.block_on(async {
        let mut done = 0;
        for _ in 0..iterations {
            done += u32::from(work(shuffle.below(TENANTS)).await);
        }
        done
    });
    assert_eq!(done, iterations, "every statement succeeds");
}
