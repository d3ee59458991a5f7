//! Whether somebody listens.

use std::time::Duration;

use super::target::Target;
use crate::health::check::{Checking, HealthCheck, Passed};
use crate::health::error::InvalidTarget;

/// Connects, and closes the connection: for what has no better check. That somebody listens does not mean that anybody
/// serves; a stopped process, and a load balancer without a server behind it, accept connections too.
#[derive(Clone, Debug)]
pub struct TcpConnect {
    target: Target,
}

impl TcpConnect {
    /// To a host and a port, such as `ledger.internal:5432`. The name is looked up anew for each check.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn new(target: &str) -> Result<Self, InvalidTarget> {
        Ok(Self { target: Target::parse(target)? })
    }
}

impl HealthCheck for TcpConnect {
    fn check(&self, _time_out: Duration) -> Checking<'_> {
        Box::pin(async {
            drop(self.target.connect().await?);
            Ok(Passed::Well)
        })
    }
}
