//! Whether the database answers.

use std::time::Duration;

use monitoring_core::health::{Checking, HealthCheck, Passed, Problem, Reason};
use sqlx::{ConnectOptions, Connection, Error};
use tokio::time::timeout;

use crate::database::MeasuredDatabase;
use crate::error_type::error_type;
use crate::pool::Pool;

/// Takes a connection and pings the database. It is work of no tenant, and nothing of it is in the metrics of statements: see
/// `saas_dependency_check_duration_seconds` for how long it takes.
///
/// If the pool has no connection in half of the check's time, the database is asked on a new one beside the pool, once. So a
/// database that is down is told from a pool whose connections are all in use, `pool_exhausted`: that is cured in the
/// service, not in the database. A connection whose database falls silent during the ping is thrown away, and does not go
/// back to the pool.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use monitoring_core::Monitoring;
/// use monitoring_core::health::Health;
///
/// # let monitoring = Monitoring::builder("billing").build()?;
/// let pool = monitoring_sqlx::SqlitePool::connect("sqlite::memory:").await?;
/// let health = Health::builder(&monitoring).check("invoices", pool.clone()).critical().start()?;
/// # while !health.is_ready() { tokio::task::yield_now().await; }
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
impl<DB: MeasuredDatabase> HealthCheck for Pool<DB> {
    fn check(&self, time_out: Duration) -> Checking<'_> {
        Box::pin(async move {
            let pool = self.as_sqlx();
            match timeout(time_out / 2, pool.acquire()).await {
                Ok(Ok(connection)) => ping::<DB>(connection).await,
                Ok(Err(error)) if !matches!(error, Error::PoolTimedOut) => Err(problem::<DB>(&error)),
                Ok(Err(_)) | Err(_) => beside(pool).await,
            }
        })
    }
}

async fn ping<DB: MeasuredDatabase>(connection: sqlx::pool::PoolConnection<DB>) -> Result<Passed, Problem> {
    let mut held = Held(Some(connection));
    if let Some(connection) = &mut held.0 {
        connection.ping().await.map_err(|error| problem::<DB>(&error))?;
    }
    // It has answered, so it may go back.
    drop(held.0.take());
    Ok(Passed::Well)
}

/// A connection that must not go back to the pool: it would be pinged there, and hang, and take its place with it.
struct Held<DB: MeasuredDatabase>(Option<sqlx::pool::PoolConnection<DB>>);

impl<DB: MeasuredDatabase> Drop for Held<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// Asks the database without the pool, which has no connection to give.
async fn beside<DB: MeasuredDatabase>(pool: &sqlx::Pool<DB>) -> Result<Passed, Problem> {
    let mut connection = pool.connect_options().connect().await.map_err(|error| problem::<DB>(&error))?;
    connection.ping().await.map_err(|error| problem::<DB>(&error))?;
    let max = pool.options().get_max_connections();
    let is_exhausted = pool.size() >= max && pool.num_idle() == 0;
    // The database has answered: what goes wrong with the farewell is no news.
    let _ = connection.close().await;
    if is_exhausted {
        return Err(
            Reason::PoolExhausted.because(format!("the database answers, but all {max} connections are in use"))
        );
    }
    Ok(Passed::Degraded(Reason::Timeout.because("the database answers, but connections are slow to be made")))
}

fn problem<DB: MeasuredDatabase>(error: &Error) -> Problem {
    Reason::from(error_type::<DB>(error)).into()
}
