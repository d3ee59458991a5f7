//! Whether the server answers.

use std::time::Duration;

use deadpool_redis::Status;
use deadpool_redis::redis::cmd;
use monitoring_core::health::{Checking, HealthCheck, Passed, Problem, Reason};
use tokio::time::timeout;

use crate::error_type::{of_error, of_pool_error};
use crate::pool::Pool;
use crate::topology::Topology;

/// Takes a connection and sends `PING`: that is work of no tenant, and measured as such.
///
/// Without a connection in half of the check's time, the reason is `pool_exhausted` if all of them are in use, which says
/// nothing of the server; else it is what connecting to the server says.
///
/// ```
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::Health;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let monitoring = Monitoring::builder("billing").build()?;
/// let pool = monitoring_redis::Pool::from_url("redis://127.0.0.1:6379")?;
/// let health = Health::builder(&monitoring).check("redis", pool.clone()).start()?;
/// # let _ = health;
/// # Ok(()) }
/// ```
impl<T: Topology> HealthCheck for Pool<T> {
    fn check(&self, time_out: Duration) -> Checking<'_> {
        Box::pin(async move {
            let Ok(taken) = timeout(time_out / 2, self.get()).await else { return Err(why_none(self.status())) };
            let mut connection = taken.map_err(|error| Problem::from(Reason::from(of_pool_error(&error))))?;
            // Another reply than PONG is none that a Redis gives.
            match cmd("PING").query_async::<String>(&mut connection).await {
                Ok(reply) if reply == "PONG" => Ok(Passed::Well),
                Ok(_) => Err(Reason::Protocol.into()),
                Err(error) => Err(Reason::from(of_error(&error)).into()),
            }
        })
    }
}

fn why_none(Status { max_size, size, available, .. }: Status) -> Problem {
    if size >= max_size && available == 0 {
        return Reason::PoolExhausted.because(format!("all {max_size} connections are in use"));
    }
    Reason::Timeout.because("no connection could be made in time")
}
