//! A server, a pool on it, and a monitoring that nobody else records into.

use std::net::TcpListener;
use std::time::Duration;

use monitoring_core::{Monitoring, Tenant, Tier};
use monitoring_redis::{Connection, Pool, PoolConfig};
use monitoring_tests::exposition::Samples;
use monitoring_tests::servers::Redis;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What must not be found in the metrics, wherever it was put.
pub(crate) const CANARY: &str = "canary-8f1b";

pub(crate) struct Bench {
    pub(crate) monitoring: Monitoring,
    pub(crate) pool: Pool,
    pub(crate) server: Redis,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of_size(4)
    }

    pub(crate) fn of_size(connections: usize) -> Self {
        let server = Redis::start().unwrap();
        let monitoring = Monitoring::builder("test").build().unwrap();
        let pool = pool(&monitoring, &server.url(), "cache", connections);
        Self { monitoring, pool, server }
    }

    pub(crate) async fn connection(&self) -> Connection {
        self.pool.get().await.unwrap()
    }

    pub(crate) fn samples(&self) -> Samples {
        self.monitoring.render().parse().unwrap()
    }

    pub(crate) fn count(&self, name: &str, error: &str) -> f64 {
        count(&self.samples(), name, error)
    }

    /// The operations that were recorded, whatever they are called.
    pub(crate) fn operations(&self) -> f64 {
        self.samples().sum("db_client_operation_duration_seconds_count", &[])
    }

    pub(crate) fn of_pool(&self, metric: &str) -> f64 {
        of_pool(&self.samples(), metric)
    }

    pub(crate) fn connections(&self) -> (f64, f64) {
        connections(&self.samples())
    }

    pub(crate) fn tenant(&self, id: &str) -> Tenant {
        self.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()
    }

    /// The hits, misses and errors of a tenant in the cache or pool of that name.
    pub(crate) fn lookups(&self, tenant: &str, cache: &str) -> (f64, f64, f64) {
        let samples = self.samples();
        let of = |result| {
            let labels = [("tenant", tenant), ("cache", cache), ("result", result)];
            samples.value("saas_cache_requests_total", &labels).unwrap_or(0.0)
        };
        (of("hit"), of("miss"), of("error"))
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let id = Pid::from_raw(self.server.process().id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }
}

pub(crate) fn pool(monitoring: &Monitoring, url: &str, name: &str, connections: usize) -> Pool {
    let builder = Pool::builder().url(url).name(name).options(PoolConfig::new(connections));
    builder.monitoring(monitoring).unwrap().build().unwrap()
}

/// How many operations of that name ended with that error; with an empty one, how many succeeded.
pub(crate) fn count(samples: &Samples, name: &str, error: &str) -> f64 {
    let mut labels = vec![("db_system_name", "redis"), ("db_operation_name", name)];
    if !error.is_empty() {
        labels.push(("error_type", error));
    }
    samples.value("db_client_operation_duration_seconds_count", &labels).unwrap_or(0.0)
}

pub(crate) fn of_pool(samples: &Samples, metric: &str) -> f64 {
    samples.value(metric, &[("db_client_connection_pool_name", "cache")]).unwrap_or(0.0)
}

/// The idle and the used connections.
pub(crate) fn connections(samples: &Samples) -> (f64, f64) {
    let of_state = |state| {
        let labels = [("db_client_connection_state", state), ("db_client_connection_pool_name", "cache")];
        samples.value("db_client_connection_count", &labels).unwrap()
    };
    (of_state("idle"), of_state("used"))
}

/// An address at which nothing listens.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
