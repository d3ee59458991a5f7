//! The metric store: where everything that is measured is kept until it is read.
//!
//! A *family* is one metric with all its series. What the user holds is typed (`handle.rs`): a `TenantCounter<L>` takes
//! a tenant and a label set `L`. `label.rs` and `symbol.rs` turn label values into small numbers; `combination.rs` gives
//! each combination of them a dense id, shared by all tenants; `table.rs` holds the cells, a row for each tenant, and
//! only the pages of a row that are in use. `family.rs` puts the three together: `reading.rs` says how the words of a cell
//! are read, `budget.rs` how many series a tenant may have of the [`SeriesLimits`]. `registry.rs` is where families are registered and found again, `error.rs` why one cannot be.
//!
//! Recording goes label set → combination id → row of the tenant → page → atomic add: no lock, no allocation, no string.
//! A family about the whole platform has no tenants; its rows are *stripes*, one per thread up to the number of cores,
//! added up when read, so that threads do not wait for one another's cache lines.

mod budget;
mod combination;
mod error;
mod family;
mod handle;
mod instruments;
mod label;
mod measure;
mod reading;
mod registry;
mod symbol;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use combination::Combination;
pub use error::RegistryError;
pub(crate) use family::{Family, Series};
pub use handle::{
    Counter, Gauge, Histogram, InFlight, TenantCounter, TenantGauge, TenantHistogram, UpDownCounter, UpDownEntry,
};
pub(crate) use instruments::install_global;
pub use instruments::{InstrumentSet, Instruments};
pub use label::{LABEL_SET_BITS, LabelSet, LabelValue, StatusCode};
pub use measure::Measure;
pub(crate) use measure::Scale;
pub(crate) use reading::Reading;
#[cfg(feature = "metrics")]
pub(crate) use registry::Dynamic;
pub use registry::{Collect, Registry, SeriesLimits};
pub use symbol::{Symbol, Symbols};
