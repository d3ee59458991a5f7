//! Whom a connection by TLS trusts, and what is wrong when it cannot be made.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::health::problem::{Problem, Reason};

/// The authorities that are trusted. A clone shares what was read of the system's.
#[derive(Clone)]
pub(super) struct Trust {
    authorities: Arc<OnceLock<Arc<RootCertStore>>>,
}

impl Trust {
    /// Those that the system trusts, read when they are needed for the first time.
    pub(super) fn system() -> Self {
        Self { authorities: Arc::default() }
    }

    pub(super) fn only(authorities: RootCertStore) -> Self {
        Self { authorities: Arc::new(OnceLock::from(Arc::new(authorities))) }
    }

    pub(super) fn authorities(&self) -> Arc<RootCertStore> {
        let read = || {
            let mut authorities = RootCertStore::empty();
            // What cannot be read or used is left out: then nobody is trusted for its sake.
            authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(authorities)
        };
        Arc::clone(self.authorities.get_or_init(read))
    }

    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Problem> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|_error| Reason::Configuration)?
            .with_root_certificates(self.authorities())
            .with_no_client_auth();
        let name = server_name(host)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| of_handshake(&error))
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Problem> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_error| Reason::Configuration.because("the host's name cannot be that of a certificate"))
}

/// What is wrong when there is no connection.
pub(super) fn of_handshake(error: &io::Error) -> Problem {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(error) => of_rustls(error),
        None => Problem::of(error),
    }
}

pub(super) fn of_rustls(error: &rustls::Error) -> Problem {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Reason::CertificateExpired.into()
        }
        rustls::Error::InvalidCertificate(error) => Reason::CertificateNotTrusted.because(why(error)),
        _ => Reason::Tls.into(),
    }
}

fn why(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => "its issuer is not known",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is of another host",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::Revoked => "it is revoked",
        _ => "it cannot be verified",
    }
}
