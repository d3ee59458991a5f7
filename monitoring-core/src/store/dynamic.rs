//! What the `metrics` facade needs: families and series by name.

use std::panic::Location;
use std::sync::{Arc, PoisonError};

use super::registry::{Registered, taken};
use super::rejected::RejectedReason;
use super::{Family, Reading, Registry};
use crate::catalogue::Kind;

/// What the `metrics` facade needs: families and series by name.
pub(crate) trait Dynamic {
    /// The family with that name and kind, made if need be; `None`, and counted, when it cannot be had.
    fn dynamic(&self, name: &str, kind: Kind) -> Option<Arc<Family>>;

    /// The tenant label that stands for `id`.
    fn tenant_label<'a>(&'a self, id: &'a str) -> &'a str;

    /// Explains the family with that name, if the facade made it.
    fn describe_dynamic(&self, name: &str, help: &str);
}

/// The names that the `metrics` facade can make.
const MAX_DYNAMIC: usize = 1_000;

/// The bounds of a histogram that the facade makes: those of the Prometheus client libraries.
const DYNAMIC_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Dynamic for Registry {
    #[track_caller]
    fn dynamic(&self, name: &str, kind: Kind) -> Option<Arc<Family>> {
        use super::measure::Scale;

        let inner = &self.inner;
        let mut names = inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = taken(&names, name, kind) {
            let is_same = registered.family.name() == name && registered.family.reading().kind() == kind;
            if is_same && registered.types.is_none() {
                return Some(Arc::clone(&registered.family));
            }
            inner.shared.rejected.add(RejectedReason::NameClash);
            return None;
        }
        if names.values().filter(|registered| registered.types.is_none()).count() >= MAX_DYNAMIC {
            inner.shared.rejected.add(RejectedReason::TooManyNames);
            return None;
        }
        let reading = match kind {
            Kind::Counter => Reading::Counter(Scale::One),
            Kind::UpDownCounter | Kind::Gauge => Reading::Gauge,
            Kind::Histogram => Reading::histogram(DYNAMIC_BUCKETS, Scale::Float, false),
        };
        let combinations = inner.budget.combinations;
        let family = Arc::new(Family::of_platform(name.to_owned(), None, reading, combinations, 1, &inner.shared));
        inner.families.push(Arc::clone(&family));
        let registered = Registered { family: Arc::clone(&family), types: None, place: Location::caller() };
        names.insert(name.into(), registered);
        Some(family)
    }

    fn tenant_label<'a>(&'a self, id: &'a str) -> &'a str {
        match id {
            "__none__" | "__other__" => id,
            _ => self.inner.tenants.id(self.inner.tenants.lookup(id)),
        }
    }

    fn describe_dynamic(&self, name: &str, help: &str) {
        let names = self.inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = names.get(name).filter(|registered| registered.types.is_none()) {
            registered.family.describe(help);
        }
    }
}
