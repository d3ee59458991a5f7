//! A cache of values, over any pool: each tenant has a namespace of its own, and what callers ask for at the same time is
//! computed once.
//!
//! ```text
//! typed.rs    the cache: look up, else compute and keep
//! builder.rs  name, time to live, limits
//! entry.rs    the key in Redis, and the text of a value: both name the tenant
//! flights.rs  one computation for all callers of a key in this process
//! error.rs    what goes wrong with it
//! ```

mod builder;
mod entry;
mod error;
mod flights;
mod typed;

pub use builder::CacheBuilder;
pub use error::{CacheError, CacheSetupError};
pub use typed::Cache;
