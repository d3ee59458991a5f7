//! Connections that have left HTTP: WebSockets, tunnels.
//!
//! A request that upgrades its connection ends with the head of its response: what follows may last for hours, and is no
//! latency. Nothing outside of the task that talks on the connection can see when that ends, because hyper gives the
//! connection to the application and keeps no part of it. So that task says so, with an [`UpgradedConnection`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use http::header::UPGRADE;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request};
use hyper::upgrade::OnUpgrade;
use monitoring_core::{LabelSet, LabelValue, Tenant, TenantFutureExt, UpDownEntry};

use crate::settings::Settings;

/// Labels of `saas.http.upgraded_connections`.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct UpgradeLabels {
    pub(crate) protocol: Protocol,
}

/// What a connection speaks after HTTP. Clients write the name, so what is not known is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Protocol {
    Websocket,
    Connect,
    H2c,
    Other,
}

impl Protocol {
    fn of(method: &Method, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let named = extended_connect(extensions).or_else(|| headers.get(UPGRADE)?.to_str().ok());
        match named {
            Some(name) if name.eq_ignore_ascii_case("websocket") => Self::Websocket,
            Some(name) if name.eq_ignore_ascii_case("h2c") => Self::H2c,
            None if method == Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// What the extended CONNECT of HTTP/2 names in a pseudo-header.
#[cfg(feature = "http2")]
fn extended_connect(extensions: &Extensions) -> Option<&str> {
    extensions.get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

/// HTTP/1 has no extended CONNECT.
#[cfg(not(feature = "http2"))]
fn extended_connect(_extensions: &Extensions) -> Option<&str> {
    None
}

/// Tells the handler by which layer its request is measured.
#[derive(Clone)]
struct MeasuredBy(Arc<Settings>);

/// Leaves word for [`UpgradedConnection`] where the connection can be upgraded at all.
pub(crate) fn prepare(extensions: &mut Extensions, settings: &Arc<Settings>) {
    if extensions.get::<OnUpgrade>().is_some() {
        extensions.insert(MeasuredBy(Arc::clone(settings)));
    }
}

/// The connection of a request that is about to be upgraded, as an extractor: give it the future that talks on the
/// connection.
///
/// From then to the end of that future, however it ends, the connection counts in `saas_http_upgraded_connections`; then
/// its life is recorded in `saas_http_upgraded_connection_duration_seconds`. The future runs as the work of the tenant
/// that the request had when this was extracted. Without it an upgraded connection is not counted: nothing else can see
/// its end. Where nothing is measured (a route without the layer, before `install()`) it only runs the future.
///
/// ```
/// use axum::{body::Body, extract::Request, http::StatusCode, response::IntoResponse};
/// use monitoring_axum::UpgradedConnection;
///
/// # async fn talk(_: hyper::upgrade::Upgraded) {}
/// async fn tunnel(connection: UpgradedConnection, mut request: Request) -> impl IntoResponse {
///     let upgrade = hyper::upgrade::on(&mut request);
///     tokio::spawn(async move {
///         if let Ok(upgraded) = upgrade.await {
///             connection.run(talk(upgraded)).await;
///         }
///     });
///     (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "tunnel"), ("connection", "upgrade")])
/// }
/// ```
///
/// With axum's WebSockets: `upgrade.on_upgrade(|socket| connection.run(talk(socket)))`.
#[derive(Debug)]
#[must_use = "the connection counts only while what `run` gives is polled"]
pub struct UpgradedConnection {
    /// `None` where nothing is measured.
    settings: Option<Arc<Settings>>,
    protocol: Protocol,
    tenant: Tenant,
}

impl UpgradedConnection {
    /// The connection of `request`, for services that have no extractors. Call it where the request is handled, before
    /// [`hyper::upgrade::on`], and not in the task that waits for the upgrade.
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::find(request.method(), request.headers(), request.extensions())
    }

    fn find(method: &Method, headers: &HeaderMap, extensions: &Extensions) -> Self {
        Self {
            settings: extensions.get().map(|MeasuredBy(settings)| Arc::clone(settings)),
            protocol: Protocol::of(method, headers, extensions),
            tenant: Tenant::current(),
        }
    }

    /// Runs `talk`, the future that talks on the connection, and counts the connection until it has ended.
    pub async fn run<F: Future>(self, talk: F) -> F::Output {
        let _open = self.settings.as_ref().and_then(|settings| Open::new(settings, self.protocol));
        talk.in_tenant(self.tenant).await
    }
}

impl<S: Sync> FromRequestParts<S> for UpgradedConnection {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::find(&parts.method, &parts.headers, &parts.extensions))
    }
}

/// An upgraded connection; counted while it lives.
struct Open {
    settings: Arc<Settings>,
    labels: UpgradeLabels,
    started: Instant,
    /// Taken when this is dropped.
    entry: Option<UpDownEntry>,
}

impl Open {
    fn new(settings: &Arc<Settings>, protocol: Protocol) -> Option<Self> {
        let labels = UpgradeLabels { protocol };
        let entry = Some(settings.instruments.get()?.upgraded.enter(labels));
        Some(Self { settings: Arc::clone(settings), labels, started: Instant::now(), entry })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take()
            && let Some(instruments) = self.settings.instruments.get()
        {
            instruments.upgraded_duration.record(self.labels, self.started.elapsed());
            instruments.upgraded.leave(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_that_is_not_known_is_folded() {
        let of = |method: Method, upgrade: Option<&str>| {
            let named = upgrade.map(|name| (UPGRADE, name.parse().unwrap()));
            Protocol::of(&method, &named.into_iter().collect(), &Extensions::new())
        };
        assert_eq!(of(Method::GET, Some("WebSocket")), Protocol::Websocket);
        assert_eq!(of(Method::GET, Some("h2c")), Protocol::H2c);
        assert_eq!(of(Method::GET, Some("evil-7")), Protocol::Other);
        assert_eq!(of(Method::GET, None), Protocol::Other);
        assert_eq!(of(Method::CONNECT, None), Protocol::Connect);
    }

    #[cfg(feature = "http2")]
    #[test]
    fn an_extended_connect_names_its_protocol() {
        let of = |name| {
            let mut extensions = Extensions::new();
            extensions.insert(hyper::ext::Protocol::from_static(name));
            Protocol::of(&Method::CONNECT, &HeaderMap::new(), &extensions)
        };
        assert_eq!(of("websocket"), Protocol::Websocket);
        assert_eq!(of("connect-udp"), Protocol::Other);
    }
}
