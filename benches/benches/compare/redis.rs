//! The Redis wrapper beside what a team writes by hand; there is no other one.
//!
//! The work: a `GET` by one of 1 000 tenants, on a connection that answers in process, so that nothing but the wrapper and
//! the client's own making of the command is measured.

use std::error::Error;
use std::time::Instant;

use futures_util::FutureExt;
use metrics::Label;
use monitoring_benches::{Kind, Row, works};
use monitoring_core::{Monitoring, Tenant, Tier};
use monitoring_redis::Measured;
use monitoring_redis::redis::aio::ConnectionLike;
use monitoring_redis::redis::{Cmd, Pipeline, RedisFuture, Value};

use crate::measure::{Effort, Shuffle, Variant, measure, over, row};
use crate::stores::metrics_exporter;

const BARE: &str = "bare connection";
const OURS: &str = "monitoring-redis";
const TENANTS: usize = 1_000;

/// Answers `OK` to everything, at once.
#[derive(Clone)]
struct InProcess;

impl ConnectionLike for InProcess {
    fn req_packed_command<'a>(&'a mut self, _command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(std::future::ready(Ok(Value::Okay)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _pipeline: &'a Pipeline,
        _offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(std::future::ready(Ok(vec![Value::Okay; count])))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let effort =
        if quick { Effort { rounds: 11, iterations: 20_000 } } else { Effort { rounds: 31, iterations: 200_000 } };
    let exporter = metrics_exporter::installed()?;
    let monitoring = Monitoring::builder("bench").build()?;
    let names: Vec<String> = (0..TENANTS).map(|index| format!("tenant-{index:04}")).collect();
    let tenants = names
        .iter()
        .map(|name| Ok(monitoring.tenants().register(name.parse()?, Tier::Standard)?))
        .collect::<Result<Vec<Tenant>, Box<dyn Error>>>()?;
    let ours = Measured::recorded_in(&monitoring, InProcess, "bench")?;

    let tenants = &tenants;
    let variants = [
        Variant::new(BARE, Kind::Floor, |seed, iterations| {
            repeat(seed, iterations, InProcess, |connection, _, command| get(connection, command));
        }),
        Variant::new(OURS, Kind::Ours, |seed, iterations| {
            repeat(seed, iterations, ours.clone(), |connection, tenant, command| {
                let _entered = tenants.get(tenant).map(|tenant| tenant.enter());
                get(connection, command)
            });
        }),
        Variant::new("by hand on metrics + metrics-exporter-prometheus", Kind::Peer, |seed, iterations| {
            repeat(seed, iterations, InProcess, |connection, tenant, command| {
                let start = Instant::now();
                let is_ok = get(connection, command);
                let tenant = names.get(tenant).cloned().unwrap_or_default();
                let labels = vec![
                    Label::from_static_parts("db_operation_name", "GET"),
                    Label::from_static_parts("error_type", if is_ok { "" } else { "_OTHER" }),
                ];
                metrics::histogram!("db_client_operation_duration_seconds", labels).record(start.elapsed());
                metrics::counter!("tenant_db_time_nanoseconds", vec![Label::new("tenant", tenant)])
                    .increment(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
                is_ok
            });
        })
        .maintained(|| exporter.run_upkeep()),
    ];
    let costs = measure(&variants, 1, effort);
    let time = over(&costs, BARE, |cost| cost.nanoseconds);
    let allocations = over(&costs, BARE, |cost| cost.allocations);
    Ok(vec![
        row(&works::REDIS_TIME, OURS, &time, |cost| cost.nanoseconds),
        row(&works::REDIS_ALLOCATIONS, OURS, &allocations, |cost| cost.allocations),
    ])
}

fn get(connection: &mut impl ConnectionLike, command: &Cmd) -> bool {
    connection.req_packed_command(command).now_or_never().is_some_and(|reply| reply.is_ok())
}

/// Does the work that often, each time for another tenant.
fn repeat<C>(seed: u64, iterations: u32, mut connection: C, work: impl Fn(&mut C, usize, &Cmd) -> bool) {
    let mut shuffle = Shuffle::new(seed);
    let command = Cmd::get("invoice:4711");
    let done: u32 = (0..iterations).map(|_| u32::from(work(&mut connection, shuffle.below(TENANTS), &command))).sum();
    assert_eq!(done, iterations, "every command succeeds");
}
