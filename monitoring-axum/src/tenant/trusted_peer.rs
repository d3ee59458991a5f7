//! The tenant that a proxy of ours has put into a header.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::HeaderName;
use ipnet::IpNet;
use monitoring_core::{Tenant, TenantRegistry};

use super::{RequestHead, TenantResolver};

/// Takes the tenant from a header, but only from peers that the application declares trusted: the gateway that has
/// authenticated the request and **replaces** the header if the client has sent one. From every other peer the header is
/// ignored, as if it were not there.
///
/// The peer is the other end of the TCP connection, so serve the router with
/// [`into_make_service_with_connect_info::<SocketAddr>()`](axum::Router::into_make_service_with_connect_info): without
/// it no peer is known and none is trusted. Only registered tenants are found, and a header that is there twice is
/// [`Tenant::UNKNOWN`]: a gateway sets it once.
///
/// ```
/// use http::HeaderName;
/// use monitoring_axum::TrustedPeerHeader;
///
/// let resolver = TrustedPeerHeader::new(HeaderName::from_static("x-tenant"), ["10.0.0.0/8", "::1"])?;
/// # let _ = monitoring_axum::layer().tenant(resolver);
/// # Ok::<(), monitoring_axum::InvalidPeer>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrustedPeerHeader {
    header: HeaderName,
    peers: Box<[IpNet]>,
}

impl TrustedPeerHeader {
    /// Takes the id in `header` from `peers`, each an address (`10.1.2.3`) or a network (`10.0.0.0/8`).
    ///
    /// # Errors
    /// A peer that is neither.
    pub fn new<P: AsRef<str>>(header: HeaderName, peers: impl IntoIterator<Item = P>) -> Result<Self, InvalidPeer> {
        let peers = peers.into_iter().map(|peer| parse(peer.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { header, peers })
    }

    fn trusts(&self, request: &RequestHead<'_>) -> bool {
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else { return false };
        // On a socket for both protocols an IPv4 peer shows as `::ffff:10.1.2.3`.
        let peer = peer.ip().to_canonical();
        self.peers.iter().any(|trusted| trusted.contains(&peer))
    }
}

fn parse(peer: &str) -> Result<IpNet, InvalidPeer> {
    let network = match peer.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical().into()),
        Err(_) => peer.parse(),
    };
    network.map_err(|source| InvalidPeer { peer: peer.into(), source })
}

impl TenantResolver for TrustedPeerHeader {
    fn resolve(&self, request: &RequestHead<'_>, tenants: &TenantRegistry) -> Tenant {
        if !self.trusts(request) {
            return Tenant::NONE;
        }
        let mut values = request.headers().get_all(&self.header).iter();
        match (values.next(), values.next()) {
            (None, _) => Tenant::NONE,
            (Some(id), None) => id.to_str().map_or(Tenant::UNKNOWN, |id| tenants.lookup(id)),
            (Some(_), Some(_)) => Tenant::UNKNOWN,
        }
    }
}

/// A trusted peer that is neither an address nor a network.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{peer:?} is no trusted peer: expected an address such as 10.1.2.3 or a network such as 10.0.0.0/8")]
pub struct InvalidPeer {
    peer: String,
    source: ipnet::AddrParseError,
}
