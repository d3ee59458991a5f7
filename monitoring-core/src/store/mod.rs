//! The metric store: where everything that is measured is kept until it is read.
//!
//! A *family* is one metric with all its series. What the user holds is typed (`handle.rs`): a `TenantCounter<L>` takes
//! a tenant and a label set `L`. `label.rs` and `symbol.rs` turn label values into small numbers; `combination.rs` gives
//! each combination of them a dense id, shared by all tenants; `table.rs` holds the cells, a row for each tenant, and
//! only the pages of a row that are in use (`directory.rs` says which those are, `blocks.rs` and `pages.rs` are the arrays
//! that never move, `expiry.rs` ends what nobody records into). `family.rs` puts the three together: `recording.rs`
//! finds the cell for an `addition.rs`, `levels.rs` sets and moves; `measure.rs` says what can be recorded.
//!
//! `series.rs` reads, `reading.rs` says how the words of a cell are read, `exponential.rs` where exponential buckets are
//! among them, `exemplar.rs` keeps the trace that a value came from. `budget.rs` says how many series and bytes there may be:
//! the [`CardinalityBudget`]. `registry.rs` is where families are registered and found again, `collection.rs`
//! how what is collected is brought up to date before it is read, `error.rs` why one cannot be;
//! `instruments.rs` is how instruments find the registry that records; `outbound.rs` hands on what is recorded to a recorder
//! that the application runs.
//!
//! Recording goes label set → combination id → row of the tenant → page → atomic add → a second look at whose the page is:
//! no lock, no allocation, no string.
//! A family about the whole platform has no tenants; its rows are *stripes*, one per thread up to the number of cores,
//! added up when read, so that threads do not wait for one another's cache lines.

mod addition;
mod blocks;
mod budget;
mod collection;
mod combination;
mod directory;
#[cfg(feature = "metrics")]
mod dynamic;
mod error;
mod exemplar;
mod expiry;
mod exponential;
mod family;
mod handle;
mod instruments;
mod label;
mod levels;
mod measure;
#[cfg(feature = "metrics")]
mod outbound;
mod pages;
mod reading;
mod recording;
mod registry;
mod rejected;
mod series;
mod single_flight;
mod stripe;
mod symbol;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "health")]
mod total;

pub use budget::CardinalityBudget;
pub use collection::Collect;
pub(crate) use combination::Combination;
#[cfg(feature = "metrics")]
pub(crate) use dynamic::Dynamic;
pub use error::RegistryError;
pub use exemplar::Exemplar;
pub(crate) use exemplar::KeptExemplar;
#[cfg(any(feature = "protobuf", feature = "otlp"))]
pub(crate) use exponential::Exponential;
pub(crate) use family::Family;
pub use handle::{
    Counter, Gauge, Histogram, InFlight, TenantCounter, TenantGauge, TenantHistogram, UpDownCounter, UpDownEntry,
};
pub(crate) use instruments::install_global;
pub use instruments::{InstrumentSet, Instruments};
pub use label::{LABEL_SET_BITS, LabelSet, LabelValue, StatusCode};
pub(crate) use measure::Scale;
pub use measure::{Measure, Score};
pub(crate) use reading::Reading;
pub use registry::Registry;
pub(crate) use series::{Series, View};
pub use symbol::{Symbol, Symbols};

use crate::sync;
