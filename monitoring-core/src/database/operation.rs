//! One database operation, from its start to its outcome.

use std::time::{Duration, Instant};

use crate::catalogue::{DB_CLIENT_OPERATION_DURATION, SAAS_TENANT_DB_TIME};
use crate::{Histogram, Instruments, Registry, RegistryError, Symbol, Tenant, TenantCounter};

use super::labels::{OperationLabels, SystemLabels};
use super::{DatabaseInstruments, ErrorType, System};

/// The families that operations are recorded in.
#[derive(Debug)]
pub(super) struct OperationFamilies {
    duration: Histogram<OperationLabels>,
    tenant_time: TenantCounter<SystemLabels, Duration>,
}

impl OperationFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            duration: registry.histogram(&DB_CLIENT_OPERATION_DURATION)?,
            tenant_time: registry.tenant_counter(&SAAS_TENANT_DB_TIME)?,
        })
    }
}

/// An operation that runs. It ends by [`end`](Self::end), [`succeeded`](Self::succeeded) or [`failed`](Self::failed);
/// dropped before, it is recorded as `cancelled`.
///
/// Costs two readings of the clock, a look-up of its name, and three relaxed atomic additions: two for the histogram, one
/// for the tenant. It borrows the families and allocates nothing. Started before monitoring is installed, it records
/// nothing and reads no clock.
#[derive(Debug)]
#[must_use = "dropping it records a cancelled operation"]
pub struct Operation<'a> {
    running: Option<Running<'a>>,
}

#[derive(Debug)]
struct Running<'a> {
    instruments: &'a DatabaseInstruments,
    tenant: Tenant,
    system: System,
    name: &'static str,
    collection: Symbol,
    /// `None` while it waits for a connection.
    start: Option<Instant>,
}

impl<'a> Operation<'a> {
    /// The name of an operation that only asked for a connection. Such a one is [discarded](Self::discard) when it gets it.
    pub const CONNECT: &'static str = "CONNECT";

    /// The name of every operation that is not on the instrument's allow-list.
    pub const OTHER: &'static str = "_OTHER";

    /// An operation that starts now, for the [current tenant](Tenant::current).
    ///
    /// `name` is upper case and from an allow-list, [`OTHER`](Self::OTHER) for the rest: it becomes the label
    /// `db_operation_name`. That it is static is what keeps text of a request out of the labels.
    pub fn start(instruments: &'a Instruments<DatabaseInstruments>, system: System, name: &'static str) -> Self {
        let mut operation = Self::waiting(instruments, system, name);
        operation.connected();
        operation
    }

    /// As [`start`](Self::start), for an operation that waits for a connection. The wait is not time of the operation:
    /// one that ends before it is [`connected`](Self::connected) is recorded with its outcome and no time at all.
    pub fn waiting(instruments: &'a Instruments<DatabaseInstruments>, system: System, name: &'static str) -> Self {
        let running = |instruments| Running {
            instruments,
            tenant: Tenant::current(),
            system,
            name,
            collection: Symbol::ABSENT,
            start: None,
        };
        Self { running: instruments.get().map(running) }
    }

    /// Says which table the operation is about; label `db_collection_name`, which is absent otherwise. Give a name that
    /// the program knows, of a bounded set: never one that was only read in a statement.
    pub fn set_collection(&mut self, collection: Symbol) {
        if let Some(running) = &mut self.running {
            running.collection = collection;
        }
    }

    /// The same operation for `tenant`, whatever scope it was started in.
    pub fn for_tenant(mut self, tenant: Tenant) -> Self {
        if let Some(running) = &mut self.running {
            running.tenant = tenant;
        }
        self
    }

    /// The wait is over: the operation's time begins.
    pub fn connected(&mut self) {
        if let Some(running) = &mut self.running {
            running.start = Some(Instant::now());
        }
    }

    /// The operation is done, or has failed with that error.
    pub fn end(self, error: Option<ErrorType>) {
        self.end_timed(error);
    }

    /// As [`end`](Self::end), and tells for whom the operation was and how long it took, the wait left out; `None` when
    /// nothing is recorded.
    pub fn end_timed(mut self, error: Option<ErrorType>) -> Option<(Tenant, Duration)> {
        self.record(error.unwrap_or(ErrorType::None))
    }

    /// The operation is done.
    pub fn succeeded(self) {
        self.end(None);
    }

    /// The operation failed.
    pub fn failed(self, error: ErrorType) {
        self.end(Some(error));
    }

    /// It was no operation after all: nothing is recorded.
    pub fn discard(mut self) {
        self.running = None;
    }

    fn record(&mut self, error_type: ErrorType) -> Option<(Tenant, Duration)> {
        let Running { instruments, tenant, system, name, collection, start } = self.running.take()?;
        let took = start.map_or(Duration::ZERO, |start| start.elapsed());
        let db_operation_name = instruments.registry.symbol(name);
        let OperationFamilies { duration, tenant_time } = &instruments.operations;
        let labels =
            OperationLabels { db_system_name: system, db_operation_name, db_collection_name: collection, error_type };
        duration.record(labels, took);
        tenant_time.add(tenant, SystemLabels { db_system_name: system }, took);
        Some((tenant, took))
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.record(ErrorType::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Monitoring;

    #[test]
    fn an_operation_that_never_got_a_connection_is_counted_without_time() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        let waited = Operation::waiting(&instruments, System::Sqlite, "SELECT");
        std::thread::yield_now();
        waited.failed(ErrorType::PoolTimeout);
        drop(Operation::waiting(&instruments, System::Sqlite, "SELECT"));

        let text = monitoring.render();
        for error_type in ["pool_timeout", "cancelled"] {
            let labels = format!(r#"{{db_system_name="sqlite",db_operation_name="SELECT",error_type="{error_type}"}}"#);
            assert!(text.contains(&format!("db_client_operation_duration_seconds_count{labels} 1\n")), "{text}");
            assert!(text.contains(&format!("db_client_operation_duration_seconds_sum{labels} 0\n")), "{text}");
        }
    }

    #[test]
    fn the_time_of_an_operation_begins_when_it_is_connected() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        let mut operation = Operation::waiting(&instruments, System::Sqlite, "SELECT");
        operation.connected();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        operation.succeeded();

        let bucket = r#"_bucket{db_system_name="sqlite",db_operation_name="SELECT",le="0.001"} 0"#;
        assert!(monitoring.render().contains(bucket), "{}", monitoring.render());
    }

    #[test]
    fn an_operation_is_about_the_table_that_it_is_given_and_tells_its_time_and_tenant() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        let acme = monitoring.tenants().register("acme".parse().unwrap(), crate::Tier::Standard).unwrap();
        let mut operation = Operation::start(&instruments, System::Mysql, "SELECT").for_tenant(acme);
        operation.set_collection(monitoring.registry().symbol("invoice"));
        let (tenant, took) = operation.end_timed(None).unwrap();

        assert_eq!(tenant, acme);
        let text = monitoring.render();
        let labels = r#"{db_system_name="mysql",db_operation_name="SELECT",db_collection_name="invoice"}"#;
        let sum = format!("db_client_operation_duration_seconds_sum{labels} {}\n", took.as_secs_f64());
        assert!(text.contains(&sum), "{sum}{text}");
    }

    #[test]
    fn an_operation_allocates_nothing_once_its_series_exists() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        let run = || Operation::start(&instruments, System::Redis, "GET").succeeded();
        run();
        assert_eq!(allocation_counter::measure(run).count_total, 0);
    }

    #[test]
    fn a_discarded_operation_is_not_recorded() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        Operation::start(&instruments, System::Redis, "GET").discard();
        assert!(!monitoring.render().contains("GET"), "{}", monitoring.render());
    }

    #[test]
    fn an_operation_belongs_to_the_tenant_it_is_given_to_and_else_to_that_of_the_scope() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let instruments = Instruments::of(&monitoring).unwrap();
        let [acme, zeta] = ["acme", "zeta"]
            .map(|id| monitoring.tenants().register(id.parse().unwrap(), crate::Tier::Standard).unwrap());
        let _acme = acme.enter();
        Operation::start(&instruments, System::Redis, "GET").succeeded();
        Operation::start(&instruments, System::Sqlite, "SELECT").for_tenant(zeta).succeeded();

        let text = monitoring.render();
        for (tenant, system) in [("acme", "redis"), ("zeta", "sqlite")] {
            let series = format!(r#"time_seconds_total{{tenant="{tenant}",db_system_name="{system}"}}"#);
            assert!(text.contains(&series), "{series}\n{text}");
        }
        assert_eq!(text.matches("saas_tenant_db_time_seconds_total{").count(), 2, "{text}");
    }
}
