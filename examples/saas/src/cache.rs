//! Listings in Redis, so that reading them does not ask the database each time.
//!
//! A listing is forgotten when it changes. One that was being read meanwhile can still be written after that, so it may be
//! out of date for as long as it lives: [`LIFETIME`]. The cache never fails a request: without Redis, or while it is down,
//! everything comes from the database.

use std::time::Duration;

use monitoring_redis::redis::{AsyncCommands, cmd};
use monitoring_redis::{Pool, PoolConfig, Timeouts};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::startup::StartError;

/// How long a listing is kept.
const LIFETIME: Duration = Duration::from_secs(30);

/// How long a request waits for the cache before it asks the database.
const PATIENCE: Duration = Duration::from_millis(500);

/// What goes wrong between us and Redis.
type CacheError = Box<dyn std::error::Error + Send + Sync>;

/// What is cached of each tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listing {
    Projects,
    Reports,
}

impl Listing {
    fn key(self, tenant: &str) -> String {
        let name = match self {
            Self::Projects => "projects",
            Self::Reports => "reports",
        };
        format!("saas:{tenant}:{name}")
    }
}

pub(crate) struct Cache {
    /// `None` when the service was started without Redis.
    pool: Option<Pool>,
}

impl Cache {
    pub(crate) async fn connect(url: Option<&str>) -> Result<Self, StartError> {
        match url {
            None => Ok(Self { pool: None }),
            Some(url) => Ok(Self { pool: Some(open(url).await.map_err(StartError::Cache)?) }),
        }
    }

    /// The listing as it is cached, or else as `load` gives it.
    pub(crate) async fn listing<T, E>(
        &self,
        listing: Listing,
        tenant: &str,
        load: impl Future<Output = Result<Vec<T>, E>>,
    ) -> Result<Vec<T>, E>
    where
        T: Serialize + DeserializeOwned,
    {
        let Some(pool) = &self.pool else { return load.await };
        let key = listing.key(tenant);
        match get(pool, &key).await {
            Ok(Some(cached)) => return Ok(cached),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, key, "the cache cannot be read"),
        }
        let loaded = load.await?;
        if let Err(error) = set(pool, &key, &loaded).await {
            tracing::warn!(%error, key, "the cache cannot be written");
        }
        Ok(loaded)
    }

    /// Forgets a listing that has changed.
    pub(crate) async fn forget(&self, listing: Listing, tenant: &str) {
        let Some(pool) = &self.pool else { return };
        let key = listing.key(tenant);
        if let Err(error) = delete(pool, &key).await {
            tracing::warn!(%error, key, "the cache is out of date for a while");
        }
    }
}

async fn open(url: &str) -> Result<Pool, CacheError> {
    let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    let pool = Pool::builder().url(url).options(PoolConfig { timeouts, ..PoolConfig::new(16) }).build()?;
    cmd("PING").exec_async(&mut pool.get().await?).await?;
    Ok(pool)
}

async fn get<T: DeserializeOwned>(pool: &Pool, key: &str) -> Result<Option<T>, CacheError> {
    let cached: Option<Vec<u8>> = pool.get().await?.get(key).await?;
    Ok(cached.map(|json| serde_json::from_slice(&json)).transpose()?)
}

async fn set<T: Serialize>(pool: &Pool, key: &str, value: &T) -> Result<(), CacheError> {
    let json = serde_json::to_vec(value)?;
    let () = pool.get().await?.set_ex(key, json, LIFETIME.as_secs()).await?;
    Ok(())
}

async fn delete(pool: &Pool, key: &str) -> Result<(), CacheError> {
    let () = pool.get().await?.del(key).await?;
    Ok(())
}
