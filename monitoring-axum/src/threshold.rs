//! How long a request may take: one duration for all, or one for each route.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(crate) enum Threshold {
    Everywhere(Duration),
    /// Given the route's template; `None` where there is no threshold.
    ByRoute(Arc<OfRoute>),
}

type OfRoute = dyn Fn(&str) -> Option<Duration> + Send + Sync;

impl Threshold {
    /// The threshold of a route. The application's code is asked when a request has ended, perhaps in a destructor: a panic
    /// in it goes no further, and there is no threshold.
    pub(crate) fn of(&self, template: &str) -> Option<Duration> {
        match self {
            Self::Everywhere(threshold) => Some(*threshold),
            Self::ByRoute(threshold) => catch_unwind(AssertUnwindSafe(|| threshold(template))).ok()?,
        }
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(threshold) => threshold.fmt(formatter),
            Self::ByRoute(_) => formatter.write_str("ByRoute"),
        }
    }
}
