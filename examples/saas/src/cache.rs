//! Listings in Redis, so that reading them does not ask the database each time.
//!
//! A listing is forgotten when it changes. One that another process was reading meanwhile can still be written after that, so
//! it may be out of date for as long as it lives: [`LIFETIME`]. The cache never fails a request: without Redis, or while it is
//! down, everything comes from the database. Whose listing it is, the cache knows by itself.

use std::time::Duration;

use monitoring_core::Monitoring;
use monitoring_redis::redis::cmd;
use monitoring_redis::{Cache, Pool, PoolConfig, Timeouts};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::startup::StartError;
use crate::store::{Project, Report};

/// How long a listing is kept.
const LIFETIME: Duration = Duration::from_secs(30);

/// How long a request waits for the cache before it asks the database.
const PATIENCE: Duration = Duration::from_millis(500);

/// A tenant has one of each listing.
const ALL: &str = "all";

/// What goes wrong between us and Redis while we start.
type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// The listings that are cached.
pub(crate) struct Listings {
    pub(crate) projects: Listing<Project>,
    pub(crate) reports: Listing<Report>,
    pool: Option<Pool>,
}

/// One listing of each tenant.
pub(crate) struct Listing<T> {
    /// `None` when the service was started without Redis.
    cache: Option<Cache<Vec<T>>>,
}

impl Listings {
    pub(crate) async fn connect(url: Option<&str>, monitoring: &Monitoring) -> Result<Self, StartError> {
        let pool = match url {
            Some(url) => Some(open(url, monitoring).await.map_err(StartError::Cache)?),
            None => None,
        };
        let opened = || -> Result<_, OpenError> {
            let pool = pool.as_ref();
            Ok((Listing::open("projects", pool, monitoring)?, Listing::open("reports", pool, monitoring)?))
        };
        let (projects, reports) = opened().map_err(StartError::Cache)?;
        Ok(Self { projects, reports, pool })
    }

    /// The pool, if there is Redis.
    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }
}

impl<T: Serialize + DeserializeOwned> Listing<T> {
    fn open(name: &str, pool: Option<&Pool>, monitoring: &Monitoring) -> Result<Self, OpenError> {
        let builder = || Cache::builder(name).ttl(LIFETIME).timeout(PATIENCE).monitoring(monitoring);
        let cache = match pool {
            Some(pool) => Some(builder()?.build(pool.clone())?),
            None => None,
        };
        Ok(Self { cache })
    }

    /// The current tenant's listing as it is cached, or else as `load` gives it.
    pub(crate) async fn get<E>(&self, load: impl Future<Output = Result<Vec<T>, E>>) -> Result<Vec<T>, E> {
        match &self.cache {
            Some(cache) => cache.get_or_compute(ALL, || load).await,
            None => load.await,
        }
    }

    /// Forgets the current tenant's listing, which has changed.
    pub(crate) async fn forget(&self) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.remove(ALL).await {
            tracing::warn!(%error, "the cache is out of date for a while");
        }
    }
}

async fn open(url: &str, monitoring: &Monitoring) -> Result<Pool, OpenError> {
    let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    let options = PoolConfig { timeouts, ..PoolConfig::new(16) };
    let pool = Pool::builder().url(url).options(options).monitoring(monitoring)?.build()?;
    cmd("PING").exec_async(&mut pool.get().await?).await?;
    Ok(pool)
}
