//! Whom the service knows: its tenants, listed in the table `tenants`.
//!
//! At the start the table is filled up to the asked number with made-up tenants whose names, tiers and passwords follow
//! from their position alone, so that a client can tell them without asking.

use std::collections::HashSet;

use monitoring_core::{TenantRegistry, Tier};

use crate::startup::StartError;
use crate::store::Store;

/// Tenant `i` is called `WORDS[i mod 8]-iiii`, for example `umbrella-0003`.
const WORDS: [&str; 8] = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka"];

/// The secret that signs tokens when none is given.
pub(crate) const DEVELOPMENT_SECRET: &str = "development-only-secret-of-the-sample";

/// The user of every tenant.
pub(crate) const USER: &str = "ada";

/// The password of that user.
pub(crate) fn password(tenant: &str) -> String {
    format!("{tenant}-password")
}

/// The listed tenants. Whoever is not among them is refused, however valid the token.
pub(crate) struct Directory {
    tenants: HashSet<String>,
}

impl Directory {
    /// Fills the table up to `count` made-up tenants, and makes all that it lists known to the monitoring.
    pub(crate) async fn open(store: &Store, count: u32, known: &TenantRegistry) -> Result<Self, StartError> {
        store.add_tenants((0..count).map(|index| (name(index), tier(index)))).await?;
        let mut tenants = HashSet::new();
        for (id, tier) in store.tenants().await? {
            known.register(id.parse()?, tier.parse()?)?;
            tenants.insert(id);
        }
        Ok(Self { tenants })
    }

    pub(crate) fn lists(&self, tenant: &str) -> bool {
        self.tenants.contains(tenant)
    }
}

fn name(index: u32) -> String {
    let word = WORDS.get(index as usize % WORDS.len()).copied().unwrap_or("acme");
    format!("{word}-{index:04}")
}

/// Of ten tenants, one has a contract, four pay, and five try the product out.
fn tier(index: u32) -> Tier {
    match index % 10 {
        0 => Tier::Enterprise,
        1..=4 => Tier::Standard,
        _ => Tier::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_alone_decides_name_and_tier() {
        assert_eq!((name(0), tier(0)), ("acme-0000".to_owned(), Tier::Enterprise));
        assert_eq!((name(3), tier(3)), ("umbrella-0003".to_owned(), Tier::Standard));
        assert_eq!((name(299), tier(299)), ("umbrella-0299".to_owned(), Tier::Free));
        assert_eq!((name(10_000), tier(10_000)), ("acme-10000".to_owned(), Tier::Enterprise));
    }
}
