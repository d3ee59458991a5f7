//! How many reports there may be, so that nobody fills the metrics with what no browser has seen.

use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use monitoring_core::Tenant;

type Limiter = RateLimiter<Tenant, HashMapStateStore<Tenant>, DefaultClock, NoOpMiddleware>;

/// A limit for each tenant, and one for all that is of none. The keys are registered tenants, so there are not more of
/// them than the registry has.
#[derive(Debug)]
pub(super) struct Rate {
    limiter: Limiter,
}

impl Rate {
    pub(super) fn per_second(reports: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_second(reports)) }
    }

    pub(super) fn admits(&self, tenant: Tenant) -> bool {
        self.limiter.check_key(&tenant).is_ok()
    }
}
