//! One tenant's rows kept from another: two walls, each of which holds by itself.
//!
//! ```text
//! row_level_security.rs  PostgreSQL itself shows only the rows of the tenant that a connection was taken for
//! of_tenant.rs           rows are looked at when they are read, with any database
//! ```

mod of_tenant;
#[cfg(feature = "postgres")]
mod row_level_security;

pub use of_tenant::{IsolationError, OfTenant, TenantRow, check_tenant};
#[cfg(feature = "postgres")]
pub use row_level_security::{InvalidSetting, RowLevelSecurity};
