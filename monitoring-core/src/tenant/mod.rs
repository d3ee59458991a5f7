//! Who work is done for.
//!
//! `id.rs` is a tenant's name, valid once built; `registry.rs` hands out a [`Tenant`] for each registered name;
//! `context.rs` carries the tenant of the running request over `.await`, and explicitly over `spawn`.

mod context;
mod id;
mod registry;
#[cfg(test)]
mod tests;

pub use context::{EnteredContext, EnteredTenant, OutsideScope, TenantContext, TenantFutureExt, TenantScope};
pub use id::{TenantId, TenantIdError};
pub(crate) use registry::TenantText;
pub use registry::{TenantRegistry, TenantRegistryError};

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// What a tenant pays for, as the application registers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Tier {
    /// Tries the product out.
    Free,
    /// Pays for it; the tier of a tenant of which nothing else is known.
    #[default]
    Standard,
    /// Has a contract that names service levels.
    Enterprise,
}

impl Tier {
    /// The tier's name: `free`, `standard` or `enterprise`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Standard => "standard",
            Self::Enterprise => "enterprise",
        }
    }

    const fn from_index(index: u8) -> Self {
        match index {
            0 => Self::Free,
            2 => Self::Enterprise,
            _ => Self::Standard,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How much of a tenant is shown by name; set for each tier in the [`CardinalityBudget`](crate::CardinalityBudget).
///
/// What is not shown by name is not lost: it is in the series of `__other__` with the same labels, and so in every total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Detail {
    /// Nothing: the tenant is part of the platform's numbers only.
    Aggregate,
    /// Its totals and one latency histogram: the families that say [`Detail::Summary`] in the catalogue.
    Summary,
    /// Every family that there is for each tenant.
    #[default]
    Full,
}

/// A tier's name that is none of `free`, `standard` and `enterprise`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tier {0:?}: expected `free`, `standard` or `enterprise`")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "free" => Ok(Self::Free),
            "standard" => Ok(Self::Standard),
            "enterprise" => Ok(Self::Enterprise),
            _ => Err(UnknownTier(text.chars().take(32).collect())),
        }
    }
}

/// A tenant, as a small handle: eight bytes, `Copy`, made only by a [`TenantRegistry`].
///
/// Resolve it once per request, then hand it to every instrument. A handle means something only to the registry that
/// made it; every other one takes it for [`Tenant::UNKNOWN`], so that no tenant can be mistaken for another.
///
/// Two handles are equal if they are of the same tenant, whatever its tier was when each was resolved.
#[derive(Clone, Copy)]
pub struct Tenant {
    index: u32,
    registry: u16,
    tier: Tier,
}

impl Tenant {
    /// Work that is done for no tenant: label `__none__`.
    pub const NONE: Self = Self::reserved(0);
    /// A tenant that is not registered, or whose id is invalid: label `__unknown__`.
    pub const UNKNOWN: Self = Self::reserved(1);
    /// A registered tenant that is over its budget of series: label `__other__`.
    pub const OTHER: Self = Self::reserved(2);

    const fn reserved(index: u32) -> Self {
        Self { index, registry: 0, tier: Tier::Standard }
    }

    /// The tenant's tier when it was resolved.
    pub const fn tier(self) -> Tier {
        self.tier
    }

    /// Whether this is a registered tenant, not one of the three reserved ones.
    pub const fn is_known(self) -> bool {
        self.registry != 0
    }

    /// The tenant's row in the registry with that number.
    pub(crate) const fn row(self, registry: u16) -> u32 {
        if self.registry == registry || self.registry == 0 { self.index } else { Self::UNKNOWN.index }
    }
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        (self.registry, self.index) == (other.registry, other.index)
    }
}

impl Eq for Tenant {}

impl Hash for Tenant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.registry, self.index).hash(state);
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.registry, self.index) {
            (0, 0) => formatter.write_str("Tenant(__none__)"),
            (0, 1) => formatter.write_str("Tenant(__unknown__)"),
            (0, _) => formatter.write_str("Tenant(__other__)"),
            (_, index) => write!(formatter, "Tenant(#{index}, {})", self.tier),
        }
    }
}
