//! How the store is read by those who scrape it.
//!
//! ```text
//! format.rs    which of the formats a reader wants, by its Accept header
//!
//! stream.rs    Exposition: family after family, series after series, a chunk at a time
//!                │ begin(family) write(series)… end()
//!                ├─► lines.rs     Prometheus text, OpenMetrics text
//!                │     ├ open_metrics.rs   what a family is called there
//!                │     └ number.rs         numbers as text
//!                └─► protobuf.rs  delimited messages
//!                      ├ messages.rs       their fields
//!                      └ native.rs         exponential buckets as a native histogram
//! ```
//! What is read is the whole store, or what belongs to one tenant. The label texts of the store are escaped already, so a
//! line is copied together from a few pieces and one number.

mod format;
mod lines;
mod number;
mod open_metrics;
#[cfg(feature = "protobuf")]
mod protobuf;
mod stream;
#[cfg(test)]
mod tests;

pub use format::Format;
pub use stream::Exposition;
