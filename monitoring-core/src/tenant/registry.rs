//! The registered tenants.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::id::MAX_LEN;
use super::{Tenant, TenantId, Tier};
use crate::id_table::IdTable;

/// The tenants that this process knows: only they become label values, so nobody can make up series.
///
/// A clone is another handle to the same registry. Looking a tenant up takes one hash of its id, no lock and no
/// allocation. A registered tenant keeps its place for as long as the process runs, about 230 bytes; the number of
/// tenants is limited by [`MonitoringBuilder::max_tenants`](crate::MonitoringBuilder::max_tenants).
#[derive(Clone)]
pub struct TenantRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    /// Tells this registry's handles from those of another.
    number: u16,
    max_tenants: usize,
    admission: bool,
    /// The hash of an id is seeded: ids are chosen by customers.
    hasher: foldhash::fast::RandomState,
    indices: IdTable,
    entries: boxcar::Vec<Entry>,
    /// Serialises registration, which is rare.
    registration: Mutex<()>,
    /// Registrations that found the registry full.
    refused: AtomicU64,
}

struct Entry {
    text: TenantText,
    tier: AtomicU8,
}

/// A tenant's id, and the label pair of it as every exposition writes it.
#[derive(Clone)]
pub(crate) struct TenantText {
    /// `tenant="acme"`: the alphabet of ids needs no escaping.
    pair: Arc<str>,
}

impl TenantText {
    fn new(id: &str) -> Self {
        Self { pair: format!("tenant=\"{id}\"").into() }
    }

    /// `tenant="acme"`
    pub(crate) fn pair(&self) -> &str {
        &self.pair
    }

    /// `acme`
    pub(crate) fn id(&self) -> &str {
        self.pair.get("tenant=\"".len()..self.pair.len() - 1).unwrap_or_default()
    }
}

impl TenantRegistry {
    /// The three reserved tenants are in every registry.
    pub(crate) const RESERVED: u32 = 3;

    pub(crate) fn new(max_tenants: usize, admission: bool) -> Self {
        // Zero marks the reserved tenants, so numbers begin with one.
        static NUMBERS: AtomicU16 = AtomicU16::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed) % (u16::MAX - 1) + 1;

        let entries = boxcar::Vec::new();
        for id in ["__none__", "__unknown__", "__other__"] {
            entries.push(Entry { text: TenantText::new(id), tier: AtomicU8::new(Tier::Standard as u8) });
        }
        Self {
            inner: Arc::new(Inner {
                number,
                max_tenants,
                admission,
                hasher: foldhash::fast::RandomState::default(),
                indices: IdTable::new(),
                entries,
                registration: Mutex::new(()),
                refused: AtomicU64::new(0),
            }),
        }
    }

    /// Makes `id` a tenant of `tier`; a tenant that is registered already gets the new tier.
    ///
    /// # Errors
    /// When the registry is full.
    pub fn register(&self, id: TenantId, tier: Tier) -> Result<Tenant, TenantRegistryError> {
        self.insert(id.as_str(), tier, true)
    }

    /// The tenant with that id: [`Tenant::UNKNOWN`] if there is none, or if the text is no valid id.
    pub fn lookup(&self, id: &str) -> Tenant {
        self.find(id).unwrap_or(Tenant::UNKNOWN)
    }

    /// The tenant with an id that the application has **verified** (a signed claim, an API key, its own session): as
    /// [`lookup`](Self::lookup), but an id that is not registered yet becomes a tenant of the default tier.
    ///
    /// Switch that off with [`MonitoringBuilder::admit_verified`](crate::MonitoringBuilder::admit_verified) when the
    /// application registers its tenants itself. In a full registry the tenant stays [`Tenant::UNKNOWN`].
    pub fn admit(&self, id: &str) -> Tenant {
        if let Some(tenant) = self.find(id) {
            return tenant;
        }
        if !self.inner.admission || TenantId::check(id).is_err() {
            return Tenant::UNKNOWN;
        }
        self.insert(id, Tier::default(), false).unwrap_or(Tenant::UNKNOWN)
    }

    /// The tenant's id, or `__none__`, `__unknown__`, `__other__`.
    pub fn id(&self, tenant: Tenant) -> &str {
        self.entry(tenant.row(self.inner.number)).map_or("__unknown__", |entry| entry.text.id())
    }

    /// How many tenants are registered, the three reserved ones left out.
    pub fn len(&self) -> usize {
        self.inner.entries.count().saturating_sub(Self::RESERVED as usize)
    }

    /// Whether no tenant is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Registrations that found the registry full.
    pub(crate) fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn number(&self) -> u16 {
        self.inner.number
    }

    /// The rows that a family needs to have one for every tenant.
    pub(crate) fn max_rows(&self) -> usize {
        self.inner.max_tenants.saturating_add(Self::RESERVED as usize)
    }

    pub(crate) fn text(&self, row: u32) -> Option<&TenantText> {
        self.entry(row).map(|entry| &entry.text)
    }

    fn entry(&self, row: u32) -> Option<&Entry> {
        self.inner.entries.get(row as usize)
    }

    fn find(&self, id: &str) -> Option<Tenant> {
        // Nothing longer can be registered, so a hostile megabyte is not even hashed.
        if id.len() > MAX_LEN {
            return None;
        }
        let is_id = |index| self.entry(index).is_some_and(|entry| entry.text.id() == id);
        let index = self.inner.indices.find(self.key(id), is_id)?;
        Some(self.handle(index))
    }

    fn key(&self, id: &str) -> u64 {
        self.inner.hasher.hash_one(id)
    }

    fn handle(&self, index: u32) -> Tenant {
        let tier = self.entry(index).map_or(1, |entry| entry.tier.load(Ordering::Relaxed));
        Tenant { index, registry: self.inner.number, tier: Tier::from_index(tier) }
    }

    fn insert(&self, id: &str, tier: Tier, update: bool) -> Result<Tenant, TenantRegistryError> {
        let max_tenants = self.inner.max_tenants;
        let full = || {
            self.inner.refused.fetch_add(1, Ordering::Relaxed);
            Err(TenantRegistryError::Full { max_tenants })
        };
        // The registry never shrinks: once it is full, a stranger costs no lock.
        if self.len() >= max_tenants && self.find(id).is_none() {
            return full();
        }
        // The lock guards no data that a panic could leave half-written.
        let _registration = self.inner.registration.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(id) {
            if let (true, Some(entry)) = (update, self.entry(found.index)) {
                entry.tier.store(tier as u8, Ordering::Relaxed);
            }
            return Ok(self.handle(found.index));
        }
        if self.len() >= max_tenants {
            return full();
        }
        let index = self.inner.entries.push(Entry { text: TenantText::new(id), tier: AtomicU8::new(tier as u8) });
        let index = u32::try_from(index).unwrap_or(Tenant::UNKNOWN.index);
        self.inner.indices.insert(self.key(id), index);
        Ok(self.handle(index))
    }
}

impl fmt::Debug for TenantRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TenantRegistry")
            .field("tenants", &self.len())
            .field("max_tenants", &self.inner.max_tenants)
            .finish_non_exhaustive()
    }
}

/// Why a tenant was not registered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantRegistryError {
    /// There is no room for another tenant.
    #[error(
        "the tenant registry is full ({max_tenants} tenants): raise MONITORING_MAX_TENANTS or \
         MonitoringBuilder::max_tenants"
    )]
    Full {
        /// The limit.
        max_tenants: usize,
    },
}
