//! What each family is called in OTLP.

use std::collections::HashMap;

use crate::store::{Family, Registry};

/// The names of a store's families, in the order of registration.
///
/// In Prometheus, the kind and the unit are part of a name, so that `queue.size` can be a counter of bytes and a gauge of
/// things; in OTLP these would be one metric that contradicts itself. The family that was registered first has the name, any
/// other one has its Prometheus name.
#[derive(Default)]
pub(super) struct Names {
    /// By place.
    names: Vec<String>,
    /// Who has a name; OpenTelemetry makes no difference between small and capital letters.
    owners: HashMap<String, usize>,
}

impl Names {
    /// The name of the family at that place.
    pub(super) fn at(&mut self, registry: &Registry, place: usize) -> &str {
        while self.names.len() <= place {
            let here = self.names.len();
            let Some(family) = registry.family_at(here) else { return "" };
            let name = own_name(family);
            let owner = *self.owners.entry(name.to_ascii_lowercase()).or_insert(here);
            let name = if owner == here { name } else { family.name() };
            self.names.push(name.to_owned());
        }
        self.names.get(place).map_or("", String::as_str)
    }
}

/// The OpenTelemetry name; what the `metrics` facade made has only the one.
fn own_name(family: &Family) -> &str {
    family.descriptor().map_or(family.name(), |descriptor| descriptor.name())
}
