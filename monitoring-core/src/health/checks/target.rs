//! A host and a port.

use tokio::net::{TcpStream, lookup_host};

use crate::health::error::InvalidTarget;
use crate::health::problem::{Problem, Reason};

const EXPECTED: &str = "a host and a port, such as `ledger.internal:5432` or `[::1]:5432`";

/// Whom a check connects to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Without the brackets of an IPv6 address.
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = InvalidTarget { expected: EXPECTED };
        let authority: http::uri::Authority = text.parse().map_err(|_error| invalid.clone())?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(|| invalid.clone())?;
        if authority.as_str().contains('@') {
            return Err(invalid);
        }
        Self::new(authority.host(), port).ok_or(invalid)
    }

    pub(super) fn new(host: &str, port: u16) -> Option<Self> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then(|| Self { host: host.into(), port })
    }

    /// Connects to the first of the host's addresses that takes it.
    pub(super) async fn connect(&self) -> Result<TcpStream, Problem> {
        let resolved = lookup_host((&*self.host, self.port)).await;
        let addresses: Vec<_> = resolved.map_err(|_error| Reason::NameNotResolved)?.collect();
        if addresses.is_empty() {
            return Err(Reason::NameNotResolved.into());
        }
        Ok(TcpStream::connect(addresses.as_slice()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port_and_never_a_user() {
        let target = Target::parse("[::1]:5432").unwrap();
        assert_eq!((&*target.host, target.port), ("::1", 5432));
        for refused in ["", "host", "host:0", "host:port", ":80", "user:hunter2@host:80", "http://host:80/"] {
            let error = Target::parse(refused).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{refused}");
        }
    }
}
