//! How a cache is set up.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use monitoring_core::{Instruments, IsolationViolations, Monitoring, RegistryError, TenantRegistry};

use super::error::CacheSetupError;
use super::flights::Flights;
use super::typed::{Cache, Settings};
use crate::hits::Hits;
use crate::instruments::RedisInstruments;
use crate::pool::Pool;
use crate::topology::Topology;

/// Sets up a [`Cache`]. Made by [`Cache::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct CacheBuilder<V> {
    settings: Settings,
    max_in_flight: usize,
    instruments: Instruments<RedisInstruments>,
    violations: Instruments<IsolationViolations>,
    values: PhantomData<fn() -> V>,
}

impl<V> CacheBuilder<V> {
    pub(super) fn new(name: &str) -> Self {
        Self {
            settings: Settings {
                name: name.into(),
                ttl: Duration::from_secs(300),
                ttl_jitter: Duration::ZERO,
                timeout: Duration::from_millis(250),
                max_wait: Duration::from_secs(5),
                is_shared: false,
                tenants: None,
            },
            max_in_flight: 1_024,
            instruments: Instruments::global(),
            violations: Instruments::global(),
            values: PhantomData,
        }
    }

    /// How long a value is kept. Default 5 minutes.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// Keeps each value for up to so much less than its time to live, at random: so that values which were computed together
    /// are not all computed again together. Default none.
    pub fn ttl_jitter(mut self, jitter: Duration) -> Self {
        self.settings.ttl_jitter = jitter;
        self
    }

    /// How long the cache may take to read, write or remove a value, the wait for a connection included. Past it, the value
    /// is computed, as if Redis had failed. Default 250 ms.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long a caller waits for the computation of another one before it does its own. Default 5 s. It is what a caller
    /// loses by one that hangs.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.settings.max_wait = max_wait;
        self
    }

    /// How many keys may be looked up and computed at a time with callers waiting for each other, which takes memory for
    /// each. Past it callers compute on their own. Default 1024.
    pub fn max_in_flight(mut self, keys: usize) -> Self {
        self.max_in_flight = keys;
        self
    }

    /// The entries belong to all tenants: what one has put there, the others read. For what is the same for all of them, such
    /// as a list of countries. Requests are still counted for the tenant that makes them.
    pub fn shared_by_all_tenants(mut self) -> Self {
        self.settings.is_shared = true;
        self
    }

    /// Where the cache is recorded, and whose tenants it knows. By default that is the global monitoring, from the moment it
    /// is installed.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        self.instruments = Instruments::of(monitoring)?;
        self.violations = Instruments::of(monitoring)?;
        self.settings.tenants = Some(TenantRegistry::clone(monitoring.tenants()));
        Ok(self)
    }

    /// The cache, on that pool.
    ///
    /// # Errors
    /// When the name or the time to live is none that can be used.
    pub fn build<T: Topology>(self, pool: Pool<T>) -> Result<Cache<V, T>, CacheSetupError> {
        let Self { settings, max_in_flight, instruments, violations, .. } = self;
        let Settings { name, ttl, .. } = &settings;
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_legal) {
            return Err(CacheSetupError::Name(name.chars().take(64).collect()));
        }
        if ttl.as_millis() == 0 {
            return Err(CacheSetupError::TimeToLive { cache: name.to_string(), ttl: *ttl });
        }
        let hits = Hits::new(instruments, name);
        Ok(Cache::new(settings, pool, hits, violations, Flights::new(max_in_flight)))
    }
}

impl<V> fmt::Debug for CacheBuilder<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CacheBuilder").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(builder: CacheBuilder<u32>) -> Result<Cache<u32>, CacheSetupError> {
        builder.build(Pool::from_url("redis://127.0.0.1/").unwrap())
    }

    #[test]
    fn a_name_that_could_be_confused_with_another_is_refused() {
        for name in ["", "a/b", "a b", "größe", &"x".repeat(65)] {
            let error = build(Cache::builder(name)).unwrap_err();
            assert!(matches!(error, CacheSetupError::Name(_)) && error.to_string().contains("expected 1 to 64 bytes"));
        }
        assert!(build(Cache::builder("invoices.v2:by-id_x")).is_ok());
    }

    #[test]
    fn a_time_to_live_of_nothing_is_refused() {
        let error = build(Cache::builder("invoices").ttl(Duration::from_micros(999))).unwrap_err();
        assert_eq!(error.to_string(), "the cache `invoices` has a time to live of 999µs: expected at least 1 ms");
    }
}
