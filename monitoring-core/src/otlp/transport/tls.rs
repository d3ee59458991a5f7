//! Whom the connection trusts, and who it says it is.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use super::answer::Fault;
use super::chain;
use crate::dropped::DropReason;
use crate::error::ConfigError;
use crate::otlp::config::ClientIdentity;

/// The certificates in a PEM text.
pub(in crate::otlp) fn authorities(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let invalid = ConfigError::Invalid {
        setting: "OTEL_EXPORTER_OTLP_CERTIFICATE",
        expected: "a PEM file with at least one certificate of an authority",
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| invalid.clone())?;
    }
    if roots.is_empty() { Err(invalid) } else { Ok(roots) }
}

/// TLS 1.2 or 1.3 with a collector whose certificate comes from `roots`, or from whom the system trusts.
pub(in crate::otlp) fn client(
    roots: Option<RootCertStore>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, Fault> {
    let fault = |error: &dyn std::error::Error| Fault::new(DropReason::CollectorUnavailable, chain(error));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?;
    let builder = match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.with_native_roots().map_err(|error| fault(&error))?,
    };
    match identity.map(read).transpose().map_err(|error| fault(&error))? {
        Some((certificates, key)) => builder.with_client_auth_cert(certificates, key).map_err(|error| fault(&error)),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// Whether a collector can be shown who the service is.
pub(in crate::otlp) fn check_identity(identity: &ClientIdentity) -> Result<(), ConfigError> {
    let expected = "a private key as PEM, and that of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
    let (certificates, key) = read(identity)?;
    CertifiedKey::from_der(certificates, key, &ring::default_provider())
        .map(|_| ())
        .map_err(|_| ConfigError::Invalid { setting: "OTEL_EXPORTER_OTLP_CLIENT_KEY", expected })
}

fn read(identity: &ClientIdentity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConfigError> {
    let invalid = |setting, expected| ConfigError::Invalid { setting, expected };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&identity.certificates)
        .collect::<Result<_, _>>()
        .ok()
        .filter(|certificates: &Vec<_>| !certificates.is_empty())
        .ok_or_else(|| invalid("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "a PEM file with at least one certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|_| invalid("OTEL_EXPORTER_OTLP_CLIENT_KEY", "a PEM file with a private key"))?;
    Ok((certificates, key))
}
