//! What every database client measures, so that SQL and Redis are told in the same families.
//!
//! ```text
//! instruments.rs  the families of both, registered together
//! labels.rs       which system, which operation, which class of error
//! operation.rs    one operation, from its start to its outcome: duration, and time per tenant
//! pool.rs         one connection pool: its connections, who waits for them, how long they are held
//! ```
//!
//! This is for the authors of instruments (`monitoring-sqlx` and `monitoring-redis` are built on it); a service uses those.
//! Nothing here knows a driver: the instrument maps its driver's errors to [`ErrorType`] and its pool's figures to
//! [`PoolState`].

mod instruments;
mod labels;
mod operation;
mod pool;

pub use instruments::DatabaseInstruments;
pub use labels::{ErrorType, System};
pub use operation::Operation;
pub use pool::{Acquire, ConnectionUse, PoolMonitor, PoolState};
