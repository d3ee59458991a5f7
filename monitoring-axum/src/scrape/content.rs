//! What a scrape asks for.

use std::time::Duration;

use http::HeaderMap;
use http::header::ACCEPT;
use monitoring_core::{Exposition, Format, Monitoring, Tenant};

use super::encoding::Encoding;

/// So long a scrape waits for the application's collectors, then it shows what there is.
const COLLECTORS_PATIENCE: Duration = Duration::from_secs(2);

/// Whose metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Of the whole platform and of every tenant: for operators.
    Platform,
    /// Of one tenant: a registered one, of this monitoring.
    Tenant(Tenant),
}

/// What a scrape asks for. Those that ask for the same can share the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(super) view: View,
    pub(super) format: Format,
    pub(super) encoding: Encoding,
}

impl Content {
    /// What the headers of a request ask for.
    pub(super) fn negotiate(view: View, headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self { view, format: Format::negotiate(accepted), encoding: Encoding::negotiate(headers) }
    }

    /// What is to be read from the store, with what collectors say of now.
    pub(super) async fn exposition(&self, monitoring: &Monitoring) -> Exposition {
        match self.view {
            View::Platform => monitoring.collected_exposition_in(self.format, COLLECTORS_PATIENCE).await,
            View::Tenant(tenant) => monitoring.collected_exposition_of(tenant, self.format, COLLECTORS_PATIENCE).await,
        }
    }
}
