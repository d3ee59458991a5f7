//! What a statement is, told by its text: its operation, its table, and a text without literals.
//!
//! ```text
//! text ─► cache.rs ──► known: one look-up
//!            │
//!            └─► new: parse.rs (sqlparser) ─► summary.rs    SELECT invoice
//!                                          └► sanitised.rs  SELECT total FROM invoice WHERE id = ?
//!                     └─► shapes.rs  what statements have in common that differ in literals only
//!                            └─► names.rs  tables and summaries as labels, once the database has understood the statement
//! ```
//!
//! Everything fails closed. What is too long, too deep, not understood or one too many has the operation that its first
//! keyword tells, and neither table nor text. What was merely written in a statement is no name yet: only when the database
//! has understood a statement of that shape is its table one.
//!
//! Bounds: 2 048 texts of at most 16 KiB each and 4 MiB together; 2 048 shapes with a text of at most 2 KiB and as many
//! without; 500 tables, unless told otherwise, and 500 summaries as labels. Texts that were not seen since the last sweep, at
//! the earliest a second before, make room for others. Only 100 new texts per second are parsed, after the first 2 048.

mod cache;
mod names;
mod parse;
mod sanitised;
mod shapes;
mod summary;

use monitoring_core::catalogue::{DB_CLIENT_RESPONSE_RETURNED_ROWS, SAAS_DB_SLOW_QUERIES};
use monitoring_core::database::{ErrorType, Operation, System};
use monitoring_core::{Histogram, InstrumentSet, LabelSet, Registry, RegistryError, Symbol, Tenant, TenantCounter};

#[cfg(feature = "postgres")]
use crate::listener::ListenerFamilies;
use crate::open_transaction::TransactionFamilies;
use crate::operation_name::operation_name;
use cache::Cache;
pub(crate) use names::Named;
use names::Names;
use shapes::Shapes;
pub(crate) use shapes::{Shape, ShapeId};

/// What is known of a statement when it is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    operation: &'static str,
    shape: Option<ShapeId>,
}

impl Statement {
    /// A statement of which the operation alone is known.
    pub(crate) const fn of_operation(operation: &'static str) -> Self {
        Self { operation, shape: None }
    }

    /// Something else that is done with the statement, such as preparing it.
    pub(crate) const fn done_as(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    /// The operation: a name of a fixed list.
    pub(crate) const fn operation(self) -> &'static str {
        self.operation
    }
}

impl From<&'static str> for Statement {
    fn from(operation: &'static str) -> Self {
        Self::of_operation(operation)
    }
}

/// The statements of one monitoring: what was learnt from their texts, and the families that need it.
pub(crate) struct Statements {
    registry: Registry,
    cache: Cache,
    shapes: Shapes,
    names: Names,
    returned_rows: Histogram<RowLabels, u64>,
    slow_queries: TenantCounter<SlowLabels>,
    transactions: TransactionFamilies,
    #[cfg(feature = "postgres")]
    listeners: ListenerFamilies,
}

#[derive(Clone, Copy, LabelSet)]
struct RowLabels {
    db_system_name: System,
    db_collection_name: Symbol,
}

#[derive(Clone, Copy, LabelSet)]
struct SlowLabels {
    db_system_name: System,
    db_query_summary: Symbol,
}

impl InstrumentSet for Statements {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            registry: registry.clone(),
            cache: Cache::new(),
            shapes: Shapes::new(),
            names: Names::new(),
            returned_rows: registry.histogram(&DB_CLIENT_RESPONSE_RETURNED_ROWS)?,
            slow_queries: registry.tenant_counter(&SAAS_DB_SLOW_QUERIES)?,
            transactions: TransactionFamilies::register(registry)?,
            #[cfg(feature = "postgres")]
            listeners: ListenerFamilies::register(registry)?,
        })
    }
}

impl Statements {
    /// What the statement is. A text that was seen before costs one hash of it and a look-up, without lock or allocation.
    pub(crate) fn read(&self, system: System, text: &str) -> Statement {
        match self.cache.find(system, text) {
            Some(statement) => statement,
            None => self.learn(system, text),
        }
    }

    #[cold]
    fn learn(&self, system: System, text: &str) -> Statement {
        let by_keyword = Statement::of_operation(operation_name(text));
        // There is nothing more to know of these, and nothing to gain from a place in the cache.
        if by_keyword.operation == Operation::OTHER {
            return by_keyword;
        }
        self.cache.learn(system, text, by_keyword, || {
            let Some(parsed) = parse::parse(system, text) else { return by_keyword };
            let operation = parsed.operation.unwrap_or(by_keyword.operation);
            Statement { operation, shape: self.shapes.intern(system, parsed) }
        })
    }

    pub(crate) fn shape(&self, statement: Statement) -> Option<&Shape> {
        self.shapes.get(statement.shape?)
    }

    /// The table and the summary of a shape as labels, if the database is known to have understood it: from an operation
    /// that ended like this, or from an earlier one.
    pub(crate) fn names(&self, shape: &Shape, error: Option<ErrorType>, max_collections: usize) -> Option<Named> {
        shape.named(is_understood(error), |shape| self.names.admit(&self.registry, shape, max_collections))
    }

    pub(crate) fn record_rows(&self, system: System, collection: Symbol, rows: u64) {
        self.returned_rows.record(RowLabels { db_system_name: system, db_collection_name: collection }, rows);
    }

    pub(crate) fn record_slow(&self, tenant: Tenant, system: System, summary: Symbol) {
        self.slow_queries.add(tenant, SlowLabels { db_system_name: system, db_query_summary: summary }, 1);
    }

    /// The name under which a tenant is shown.
    pub(crate) fn tenant_id(&self, tenant: Tenant) -> &str {
        self.registry.tenants().id(tenant)
    }

    /// A name that the program gives, for a label.
    pub(crate) fn symbol(&self, name: &str) -> Symbol {
        self.registry.symbol(name)
    }

    /// What becomes of transactions.
    pub(crate) fn transactions(&self) -> &TransactionFamilies {
        &self.transactions
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn listeners(&self) -> &ListenerFamilies {
        &self.listeners
    }
}

/// Whether an operation that ended so tells that the database has understood the statement: what it names is there then.
fn is_understood(error: Option<ErrorType>) -> bool {
    matches!(
        error,
        None | Some(
            ErrorType::ConstraintViolation
                | ErrorType::Conflict
                | ErrorType::NotFound
                | ErrorType::ReadOnly
                | ErrorType::ResourceExhausted
                | ErrorType::Timeout
        )
    )
}

impl std::fmt::Debug for Statements {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Statements").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use monitoring_core::{Instruments, Monitoring};

    use super::*;

    fn statements() -> Instruments<Statements> {
        Instruments::of(&Monitoring::builder("test").build().unwrap()).unwrap()
    }

    #[test]
    fn a_statement_that_was_read_before_is_found_without_an_allocation() {
        let instruments = statements();
        let statements = instruments.get().unwrap();
        let text = "SELECT id, cents FROM invoice WHERE customer = $1 ORDER BY id LIMIT 20";
        let first = statements.read(System::Postgresql, text);
        assert_eq!(first.operation(), "SELECT");
        assert!(first.shape.is_some());
        let mut again = None;
        let allocations = allocation_counter::measure(|| again = Some(statements.read(System::Postgresql, text)));
        assert_eq!(allocations.count_total, 0);
        assert_eq!(again, Some(first));
    }

    #[test]
    fn statements_that_differ_in_literals_only_have_one_shape() {
        let instruments = statements();
        let statements = instruments.get().unwrap();
        let [one, two, other] =
            ["SELECT * FROM item WHERE id = 1", "select * from item where id=-2.5", "SELECT id FROM item"]
                .map(|text| statements.read(System::Sqlite, text).shape);
        assert_ne!(one, None);
        assert_ne!(one, other);
        // The sign is an operator.
        assert_ne!(one, two);
        assert_eq!(statements.read(System::Sqlite, "SELECT * FROM item WHERE id = 'x'").shape, one);
    }

    #[test]
    fn what_no_parser_understands_has_the_operation_of_its_first_keyword_and_no_table() {
        let instruments = statements();
        let statements = instruments.get().unwrap();
        for text in ["SELECT FROM WHERE 'canary", "DELETE canary FROM WITHIN (", "UPDATE \"canary"] {
            let statement = statements.read(System::Postgresql, text);
            assert_eq!(statement, Statement::of_operation(operation_name(text)), "{text}");
        }
        let too_long = format!("SELECT {}1 FROM item", "1 + ".repeat(10_000));
        assert_eq!(statements.read(System::Sqlite, &too_long), Statement::of_operation("SELECT"));
    }

    #[test]
    fn a_table_is_a_name_only_once_the_database_has_understood_a_statement_on_it() {
        let instruments = statements();
        let statements = instruments.get().unwrap();
        let statement = statements.read(System::Sqlite, "SELECT * FROM canary");
        let shape = statements.shape(statement).unwrap();
        for error in
            [ErrorType::InvalidRequest, ErrorType::Cancelled, ErrorType::PoolTimeout, ErrorType::ConnectionLost]
        {
            assert!(statements.names(shape, Some(error), 500).is_none(), "{error:?}");
        }
        let named = statements.names(shape, None, 500).unwrap();
        assert_eq!(named.collection, statements.registry.symbol("canary"));
        assert_eq!(named.summary, statements.registry.symbol("SELECT canary"));
        assert!(statements.names(shape, Some(ErrorType::Cancelled), 500).is_some());
    }
}
