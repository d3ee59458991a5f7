//! What can go wrong while setting up. Nothing can while measuring.

use std::net::SocketAddr;
use std::{fmt, io};

/// Why the metrics' own listener could not be opened.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// There is no Tokio runtime to listen on, or one without I/O or time.
    #[error(
        "the metrics listener needs a Tokio runtime with I/O and time enabled: await monitoring_axum::listen inside one, \
         such as #[tokio::main] makes"
    )]
    NoRuntime,
    /// Another process listens there, often an earlier run of the same service.
    #[error(
        "the metrics listener cannot use {address}: the port is in use; stop what listens there, or set \
         OTEL_EXPORTER_PROMETHEUS_PORT to another port (0 takes any free one)"
    )]
    PortInUse {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// The address cannot be bound: it is not of this machine, or the port needs a privilege.
    #[error(
        "the metrics listener cannot bind {address}: {source}; set OTEL_EXPORTER_PROMETHEUS_HOST to an address of this \
         machine and OTEL_EXPORTER_PROMETHEUS_PORT to a port that the process may use"
    )]
    Bind {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for ListenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl ListenError {
    pub(crate) fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { address },
            _ => Self::Bind { address, source },
        }
    }
}
