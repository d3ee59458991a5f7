//! How long the certificate of an endpoint is still valid.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::target::Target;
use super::tls::{Trust, of_handshake, of_rustls, provider, server_name};
use crate::catalogue::SAAS_TLS_CERTIFICATE_NOT_AFTER;
use crate::health::check::{Checking, HealthCheck, Passed};
use crate::health::error::InvalidTarget;
use crate::health::problem::{Problem, Reason};
use crate::{Gauge, LabelSet, Monitoring, RegistryError, Symbol};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Connects by TLS 1.2 or 1.3 and looks at the certificate that it is shown: the check fails when that has expired, and is
/// degraded when it does so within 14 days. When that is goes to `saas_tls_certificate_not_after_timestamp_seconds`.
///
/// By default that is **all** it looks at: it accepts any chain, because it has to read the certificates of private
/// authorities too. [`verified`](Self::verified) and [`verified_by`](Self::verified_by) make it fail also for what a client
/// would not trust. Nothing but the handshake is sent, so nobody is given anything by it.
pub struct TlsCertificate {
    endpoint: Box<str>,
    target: Target,
    server_name: Option<Box<str>>,
    degraded_within: Duration,
    trust: Option<Trust>,
    not_after: OnceLock<(Gauge<EndpointLabels>, EndpointLabels)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
struct EndpointLabels {
    endpoint: Symbol,
}

impl TlsCertificate {
    /// Of a host and a port, such as `billing.example:443`, which is also the label `endpoint`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn new(endpoint: &str) -> Result<Self, InvalidTarget> {
        Ok(Self {
            endpoint: endpoint.into(),
            target: Target::parse(endpoint)?,
            server_name: None,
            degraded_within: 14 * DAY,
            trust: None,
            not_after: OnceLock::new(),
        })
    }

    /// Asks for the certificate of that host, if it is not the one to connect to: a load balancer has several.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into().into());
        self
    }

    /// The time before its end in which the check is degraded. Default 14 days: with 90 days and a renewal after 60, as
    /// ACME clients do it, that means that renewals have failed for two weeks.
    #[must_use]
    pub fn degraded_within(mut self, time: Duration) -> Self {
        self.degraded_within = time;
        self
    }

    /// Fails also if the system would not trust the certificate, or it is another host's.
    #[must_use]
    pub fn verified(mut self) -> Self {
        self.trust = Some(Trust::system());
        self
    }

    /// Fails also if the certificate does not come from these authorities, or is another host's.
    #[must_use]
    pub fn verified_by(mut self, authorities: RootCertStore) -> Self {
        self.trust = Some(Trust::only(authorities));
        self
    }

    async fn look(&self) -> Result<Passed, Problem> {
        let name = server_name(self.server_name.as_deref().unwrap_or(&self.target.host))?;
        let reader = Arc::new(Reader::new(self.trust.as_ref())?);
        let config = ClientConfig::builder_with_provider(Arc::clone(&reader.provider))
            .with_safe_default_protocol_versions()
            .map_err(|_error| Reason::Configuration)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Reader>::clone(&reader))
            .with_no_client_auth();
        let stream = self.target.connect().await?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        // A server that wants to know who asks breaks off, but has shown its certificate by then.
        match reader.seen() {
            Some(seen) => self.judge(seen),
            None => Err(connected.map_or_else(|error| of_handshake(&error), |_stream| Reason::Tls.into())),
        }
    }

    fn judge(&self, Seen { not_after, verdict }: Seen) -> Result<Passed, Problem> {
        let not_after = not_after.ok_or(Reason::Tls.because("the certificate cannot be read"))?;
        if let Some((gauge, labels)) = self.not_after.get() {
            gauge.set(*labels, not_after as f64);
        }
        let not_after = u64::try_from(not_after).unwrap_or(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now > not_after {
            return Err(Reason::CertificateExpired.into());
        }
        verdict.map_err(|error| of_rustls(&error))?;
        let left = Duration::from_secs(not_after - now);
        if left < self.degraded_within {
            let detail = format!("{} days left", left.as_secs() / DAY.as_secs());
            return Ok(Passed::Degraded(Reason::CertificateExpiresSoon.because(detail)));
        }
        Ok(Passed::Well)
    }
}

impl HealthCheck for TlsCertificate {
    fn check(&self, _time_out: Duration) -> Checking<'_> {
        Box::pin(self.look())
    }

    fn started(&self, monitoring: &Monitoring) -> Result<(), RegistryError> {
        if monitoring.is_enabled() {
            let gauge = monitoring.registry().gauge(&SAAS_TLS_CERTIFICATE_NOT_AFTER)?;
            self.not_after
                .get_or_init(|| (gauge, EndpointLabels { endpoint: monitoring.registry().symbol(&self.endpoint) }));
        }
        Ok(())
    }
}

impl fmt::Debug for TlsCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsCertificate")
            .field("endpoint", &self.endpoint)
            .field("degraded_within", &self.degraded_within)
            .finish_non_exhaustive()
    }
}

/// What was seen of a certificate.
#[derive(Clone)]
struct Seen {
    /// Seconds since 1970; `None` if it cannot be read.
    not_after: Option<i64>,
    /// What somebody would say who has to trust it.
    verdict: Result<(), rustls::Error>,
}

/// Lets the handshake go on whatever the certificate is, and keeps what it has seen of it.
struct Reader {
    provider: Arc<CryptoProvider>,
    judge: Option<Arc<WebPkiServerVerifier>>,
    seen: Mutex<Option<Seen>>,
}

impl Reader {
    fn new(trust: Option<&Trust>) -> Result<Self, Problem> {
        let provider = provider();
        let judge = |trust: &Trust| {
            WebPkiServerVerifier::builder_with_provider(trust.authorities(), Arc::clone(&provider)).build()
        };
        let judge = trust.map(judge).transpose();
        let judge = judge.map_err(|_error| Reason::Configuration.because("there is no authority to trust"))?;
        Ok(Self { provider, judge, seen: Mutex::default() })
    }

    fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Reader {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.judge {
            Some(judge) => judge
                .verify_server_cert(certificate, intermediates, server_name, ocsp_response, now)
                .map(|_verified| ()),
            None => Ok(()),
        };
        let read = X509Certificate::from_der(certificate);
        let not_after = read.ok().map(|(_rest, certificate)| certificate.validity().not_after.timestamp());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { not_after, verdict });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}
