//! What can go wrong with a cache. A request for a value never fails because of it.

use std::fmt;
use std::time::Duration;

use deadpool_redis::redis::RedisError;
use thiserror::Error;

use crate::PoolError;

/// A cache cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CacheSetupError {
    /// The name would not keep the cache's keys apart from those of others.
    #[error("a cache has the name {0:?}: expected 1 to 64 bytes of A-Z a-z 0-9 . _ : -")]
    Name(String),

    /// Redis counts in milliseconds, and keeps nothing for none.
    #[error("the cache `{cache}` has a time to live of {ttl:?}: expected at least 1 ms")]
    TimeToLive {
        /// The cache's name.
        cache: String,
        /// Its time to live.
        ttl: Duration,
    },
}

/// A value was not written or not removed. None of these names a key or a value.
#[derive(Error)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no connection to be had.
    #[error("the cache `{cache}` gets no connection: {source}")]
    Pool {
        /// The cache's name.
        cache: Box<str>,
        /// Why not.
        source: PoolError,
    },

    /// Redis, or the connection to it, has failed.
    #[error("the cache `{cache}` gets an error from Redis: {source}")]
    Redis {
        /// The cache's name.
        cache: Box<str>,
        /// What it says.
        source: RedisError,
    },

    /// It took longer than the cache's time-out. Redis may have done it.
    #[error("the cache `{cache}` got no answer within {timeout:?}; `CacheBuilder::timeout` sets how long it waits")]
    Timeout {
        /// The cache's name.
        cache: Box<str>,
        /// How long it has waited.
        timeout: Duration,
    },

    /// The value cannot be written as JSON, such as a map whose keys are no texts.
    #[error("a value of the cache `{cache}` cannot be written as JSON")]
    Encode {
        /// The cache's name.
        cache: Box<str>,
    },

    /// Nobody knows whose entry it is.
    #[error(
        "the cache `{cache}` keeps entries by tenant, and there is no registered one here: run the code in the scope of a \
         tenant, or make the cache one of all tenants by `CacheBuilder::shared_by_all_tenants`"
    )]
    NoTenant {
        /// The cache's name.
        cache: Box<str>,
    },
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for CacheError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
