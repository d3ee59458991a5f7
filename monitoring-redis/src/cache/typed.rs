//! The cache itself.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value, cmd};
use monitoring_core::{Instruments, IsolationLayer, IsolationViolations, Monitoring, Tenant, TenantRegistry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::builder::CacheBuilder;
use super::entry::{Entry, Unusable};
use super::error::CacheError;
use super::flights::{Flights, Seat, Turn};
use crate::hits::Hits;
use crate::instruments::CacheResult;
use crate::pool::Pool;
use crate::topology::{Server, Topology};

/// Values of one type, kept in Redis as JSON for a time, apart for each tenant.
///
/// The entries are those of the [current tenant](Tenant::current), which is in their key and in their text, so that no tenant
/// reads those of another; one that is found under the wrong tenant is not used, and counted in
/// `saas_tenant_isolation_violations_total` with `layer="cache"`. Where there is no registered tenant nothing is kept, and each value is computed; so it is before
/// monitoring is installed, which is what knows the tenants.
///
/// Whatever happens to Redis, [`get_or_compute`](Self::get_or_compute) gives what the computation gives. Requests are counted
/// in `saas_cache_requests_total` by the cache's name, and commands as those of its pool. A clone is another handle to the
/// same cache.
///
/// ```
/// use std::time::Duration;
/// use monitoring_redis::{Cache, Pool};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Invoice {
///     cents: i64,
/// }
///
/// # async fn load(_id: u64) -> Result<Invoice, std::io::Error> { Ok(Invoice { cents: 4_200 }) }
/// async fn invoice(invoices: &Cache<Invoice>, id: u64) -> Result<Invoice, std::io::Error> {
///     invoices.get_or_compute(&id.to_string(), || load(id)).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::from_url("redis://127.0.0.1:6379/0")?;
/// let invoices = Cache::builder("invoices").ttl(Duration::from_secs(60)).build(pool)?;
/// assert_eq!(invoice(&invoices, 42).await?.cents, 4_200);
/// # Ok(()) }
/// ```
pub struct Cache<V, T: Topology = Server> {
    shared: Arc<Shared<T>>,
    values: PhantomData<fn() -> V>,
}

struct Shared<T: Topology> {
    settings: Settings,
    pool: Pool<T>,
    hits: Hits,
    violations: Instruments<IsolationViolations>,
    flights: Flights,
}

/// What the builder has set.
pub(super) struct Settings {
    pub(super) name: Box<str>,
    pub(super) ttl: Duration,
    pub(super) ttl_jitter: Duration,
    pub(super) timeout: Duration,
    pub(super) max_wait: Duration,
    /// Whether all tenants have the same entries.
    pub(super) is_shared: bool,
    /// `None` for those of the global monitoring.
    pub(super) tenants: Option<TenantRegistry>,
}

/// What Redis had under a key.
enum Found<V> {
    Value(V, Vec<u8>),
    Nothing,
    /// Something that cannot be used; it will be written over.
    Unusable,
    /// There was no answer that says.
    Unreachable,
}

impl<V> Cache<V> {
    /// Sets up a cache of that name, which is in its keys and in the label `cache`: 1 to 64 bytes of `A-Z a-z 0-9 . _ : -`.
    ///
    /// A name is for one type of values. When the type changes its form, give the cache another name, such as `invoices.v2`.
    pub fn builder(name: &str) -> CacheBuilder<V> {
        CacheBuilder::new(name)
    }
}

impl<V, T: Topology> Cache<V, T> {
    pub(super) fn new(
        settings: Settings,
        pool: Pool<T>,
        hits: Hits,
        violations: Instruments<IsolationViolations>,
        flights: Flights,
    ) -> Self {
        Self { shared: Arc::new(Shared { settings, pool, hits, violations, flights }), values: PhantomData }
    }

    /// The cache's name.
    pub fn name(&self) -> &str {
        &self.shared.settings.name
    }
}

impl<V: Serialize + DeserializeOwned, T: Topology> Cache<V, T> {
    /// The value of that key: as Redis has it, or else computed and kept.
    ///
    /// Callers who ask in this process for the same key of the same tenant at the same time share one look-up and one
    /// computation. If the one that computes fails, panics or is dropped, the next one computes; nobody gets the error of
    /// another. Callers in other processes compute on their own. A computation that asks for its own key waits for itself, up
    /// to [`CacheBuilder::max_wait`].
    ///
    /// # Errors
    /// What the computation returns. It is not kept.
    pub async fn get_or_compute<E, C: Future<Output = Result<V, E>>>(
        &self,
        key: &str,
        compute: impl FnOnce() -> C,
    ) -> Result<V, E> {
        let Some(entry) = self.entry(key) else { return compute().await };
        let Some(seat) = self.shared.flights.board(&entry.key) else {
            // Nobody would tell that the entry changes meanwhile, so what is computed is not kept.
            return match self.look_up(&entry).await {
                Found::Value(value, _) => Ok(value),
                Found::Nothing | Found::Unusable | Found::Unreachable => compute().await,
            };
        };
        match timeout(self.shared.settings.max_wait, seat.turn()).await {
            Ok(Turn::Lead(lead)) => {
                let (value, text) = self.look_up_or_compute(&entry, &seat, compute).await?;
                if let Some(text) = text {
                    lead.land(text.into());
                }
                Ok(value)
            }
            Ok(Turn::Landed(text)) => match entry.decode(&text) {
                Ok(value) => {
                    self.count(CacheResult::Hit);
                    Ok(value)
                }
                // A type that cannot read what it has written is not for sharing.
                Err(_unusable) => {
                    self.count(CacheResult::Error);
                    compute().await
                }
            },
            Err(_elapsed) => Ok(self.look_up_or_compute(&entry, &seat, compute).await?.0),
        }
    }

    /// The value of that key, if Redis has it. A failure of Redis is counted, and otherwise as if it had none.
    pub async fn get(&self, key: &str) -> Option<V> {
        match self.look_up(&self.entry(key)?).await {
            Found::Value(value, _) => Some(value),
            Found::Nothing | Found::Unusable | Found::Unreachable => None,
        }
    }

    /// Keeps a value, in place of the one that was kept before.
    ///
    /// # Errors
    /// When Redis did not take it, or when there is no tenant whose entry it would be.
    pub async fn insert(&self, key: &str, value: &V) -> Result<(), CacheError> {
        let entry = self.entry(key).ok_or_else(|| CacheError::NoTenant { cache: self.name().into() })?;
        let text = entry.encode(value).ok_or_else(|| CacheError::Encode { cache: self.name().into() })?;
        self.shared.flights.outdate(&entry.key);
        self.write(&entry, &text).await
    }

    /// Forgets the value of a key, because what it was computed from has changed. What is being computed in this process for
    /// the key meanwhile is not kept; another process may still keep what it has begun to compute before.
    ///
    /// # Errors
    /// When Redis did not do it, so that the old value may be read until its time is over; or when there is no tenant whose
    /// entry it would be.
    pub async fn remove(&self, key: &str) -> Result<(), CacheError> {
        let entry = self.entry(key).ok_or_else(|| CacheError::NoTenant { cache: self.name().into() })?;
        self.shared.flights.outdate(&entry.key);
        self.delete(&entry).await
    }

    /// Where the value is for the current tenant; nowhere if that is none that is registered.
    fn entry(&self, key: &str) -> Option<Entry> {
        let Settings { name, is_shared, tenants, .. } = &self.shared.settings;
        if *is_shared {
            return Some(Entry::new("", name, key));
        }
        let tenants = tenants.as_ref().or_else(|| Monitoring::global().map(Monitoring::tenants))?;
        let tenant = Tenant::current();
        let id = tenants.id(tenant);
        // The handle of another monitoring is known to that one, and has the name of an unknown tenant here.
        (tenant.is_known() && !id.starts_with("__")).then(|| Entry::new(id, name, key))
    }

    /// The value, and its text if others can have it.
    async fn look_up_or_compute<E, C: Future<Output = Result<V, E>>>(
        &self,
        entry: &Entry,
        seat: &Seat<'_>,
        compute: impl FnOnce() -> C,
    ) -> Result<(V, Option<Vec<u8>>), E> {
        let is_reachable = match self.look_up(entry).await {
            Found::Value(value, text) => return Ok((value, Some(text))),
            Found::Nothing | Found::Unusable => true,
            Found::Unreachable => false,
        };
        let value = compute().await?;
        let Some(text) = entry.encode(&value) else { return Ok((value, None)) };
        if is_reachable && !seat.is_outdated() {
            // That it failed is counted as an operation; the caller has what it wants.
            let _ = self.write(entry, &text).await;
            // Whoever changed the entry before the write has arrived may have been too early to remove it.
            if seat.is_outdated() {
                let _ = self.delete(entry).await;
            }
        }
        Ok((value, Some(text)))
    }

    async fn look_up(&self, entry: &Entry) -> Found<V> {
        let reply = self.send(cmd("GET").arg(&entry.key)).await;
        let found = match reply {
            Ok(Value::BulkString(text)) => match entry.decode(&text) {
                Ok(value) => Found::Value(value, text),
                Err(Unusable::Malformed) => Found::Unusable,
                Err(Unusable::Foreign) => {
                    if let Some(violations) = self.shared.violations.get() {
                        violations.count(Tenant::current(), IsolationLayer::Cache);
                    }
                    Found::Unusable
                }
            },
            Ok(Value::Nil) => Found::Nothing,
            Ok(_) => Found::Unusable,
            Err(_error) => Found::Unreachable,
        };
        self.count(match found {
            Found::Value(..) => CacheResult::Hit,
            Found::Nothing => CacheResult::Miss,
            Found::Unusable | Found::Unreachable => CacheResult::Error,
        });
        found
    }

    async fn write(&self, entry: &Entry, text: &[u8]) -> Result<(), CacheError> {
        let milliseconds = self.shared.settings.milliseconds_to_live();
        self.send(cmd("SET").arg(&entry.key).arg(text).arg("PX").arg(milliseconds)).await.map(drop)
    }

    async fn delete(&self, entry: &Entry) -> Result<(), CacheError> {
        self.send(cmd("DEL").arg(&entry.key)).await.map(drop)
    }

    async fn send(&self, command: &Cmd) -> Result<Value, CacheError> {
        let cache = || self.name().into();
        let Shared { settings, pool, .. } = &*self.shared;
        let sent = timeout(settings.timeout, async {
            let mut connection = pool.get().await.map_err(|source| CacheError::Pool { cache: cache(), source })?;
            let reply = connection.uncounted(command).await.and_then(Value::extract_error);
            reply.map_err(|source| CacheError::Redis { cache: cache(), source })
        });
        sent.await.unwrap_or_else(|_elapsed| Err(CacheError::Timeout { cache: cache(), timeout: settings.timeout }))
    }

    fn count(&self, result: CacheResult) {
        self.shared.hits.add(Tenant::current(), result, 1);
    }
}

impl Settings {
    fn milliseconds_to_live(&self) -> u64 {
        let whole = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // Redis refuses a moment of death past 2^63 ms, and a millennium is enough.
        let ttl = whole(self.ttl).min(31_557_600_000_000);
        let less = rand::random_range(0..=whole(self.ttl_jitter).min(ttl - 1));
        ttl - less
    }
}

impl<V, T: Topology> Clone for Cache<V, T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), values: PhantomData }
    }
}

impl<V, T: Topology> fmt::Debug for Cache<V, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("name", &self.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_shortens_a_life_and_never_ends_it() {
        let settings = |ttl, ttl_jitter| Settings {
            name: "invoices".into(),
            ttl,
            ttl_jitter,
            timeout: Duration::ZERO,
            max_wait: Duration::ZERO,
            is_shared: false,
            tenants: None,
        };
        let second = Duration::from_secs(1);
        assert_eq!(settings(second, Duration::ZERO).milliseconds_to_live(), 1_000);
        let jittered = settings(second, Duration::from_millis(100));
        let lives: Vec<u64> = (0..1_000).map(|_| jittered.milliseconds_to_live()).collect();
        assert!(lives.iter().all(|life| (900..=1_000).contains(life)), "{lives:?}");
        assert!(lives.iter().any(|life| *life < 950) && lives.iter().any(|life| *life > 950), "{lives:?}");
        assert!((0..1_000).all(|_| settings(second, Duration::MAX).milliseconds_to_live() >= 1));
        assert!(settings(Duration::MAX, Duration::ZERO).milliseconds_to_live() < u64::MAX / 2);
    }
}
