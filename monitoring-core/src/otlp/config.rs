//! How the push is set up, in code.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::transport::tls;
use crate::error::ConfigError;

/// How the metrics are pushed to an OpenTelemetry collector, or to any backend that takes OTLP.
///
/// Every setting has the default of the OpenTelemetry specification. What cannot be used is an error of
/// [`MonitoringBuilder::build`](crate::MonitoringBuilder::build), which names the setting's environment variable.
///
/// ```
/// use std::time::Duration;
/// use monitoring_core::Monitoring;
/// use monitoring_core::otlp::{OtlpConfig, Temporality};
///
/// let push = OtlpConfig::default()
///     .endpoint("https://collector.example.com/v1/metrics")
///     .header("Authorization", "Bearer 0123456789abcdef")
///     .interval(Duration::from_secs(15))
///     .temporality(Temporality::Delta);
/// let monitoring = Monitoring::builder("billing").otlp(push).build()?; // connects with the first export, not here
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is pushed until it is given to `MonitoringBuilder::otlp`"]
pub struct OtlpConfig {
    pub(super) protocol: OtlpProtocol,
    /// `None`: the port of the protocol on this host.
    pub(super) endpoint: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
    pub(super) export_timeout: Duration,
    pub(super) compression: OtlpCompression,
    pub(super) certificate: Option<Bytes>,
    pub(super) client_identity: Option<ClientIdentity>,
    pub(super) temporality: Temporality,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) tenant_header: Option<String>,
}

/// Who the service is to a collector that asks by TLS, as PEM.
#[derive(Clone)]
pub(super) struct ClientIdentity {
    pub(super) certificates: Bytes,
    pub(super) key: Bytes,
}

/// What the requests are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// HTTP/1.1 with protobuf: `http/protobuf`.
    #[default]
    HttpProtobuf,
    /// gRPC: `grpc`.
    #[cfg(feature = "otlp-grpc")]
    Grpc,
}

/// Whether requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpCompression {
    /// As they are: `none`.
    #[default]
    None,
    /// With gzip: `gzip`.
    Gzip,
}

/// What counters and histograms count from. Up-down counters always have their total, gauges their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Temporality {
    /// From their start: `cumulative`. A request that is lost loses nothing but its resolution in time.
    #[default]
    Cumulative,
    /// From the last request that was accepted: `delta`. Keeps what was accepted of every series: about 100 bytes for a
    /// counter, 8 more for each bucket of a histogram.
    ///
    /// What a request that failed should have said is in the next one, with two exceptions. Points that the collector
    /// rejects within a request that it takes are gone: it does not say which they were. And where no answer came, nobody
    /// knows whether the collector has the points; they are sent once more, so that the next delta may overlap what it has.
    Delta,
    /// As [`Delta`](Self::Delta): `lowmemory`. All counters here are what the specification calls synchronous.
    LowMemory,
}

/// The longest time that a setting takes.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Headers that say how a request is read; the exporter sets them.
const OWN_HEADERS: &[&str] =
    &["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"];

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            protocol: OtlpProtocol::default(),
            endpoint: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(60),
            export_timeout: Duration::from_secs(30),
            compression: OtlpCompression::default(),
            certificate: None,
            client_identity: None,
            temporality: Temporality::default(),
            attributes: Vec::new(),
            tenant_header: None,
        }
    }
}

impl OtlpConfig {
    /// HTTP (default) or gRPC.
    pub fn protocol(mut self, protocol: OtlpProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Where requests go: for HTTP the whole URL, path included; for gRPC scheme, host and port. Default
    /// `http://localhost:4318/v1/metrics`, for gRPC `http://localhost:4317`. With `https` the connection uses TLS.
    ///
    /// For HTTP, a URL that ends with the host or port gets the path `/v1/metrics`; end it with `/` to mean the root.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// A header of every request, such as an API key. One of the same name is replaced.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers.retain(|(existing, _)| !existing.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// How long one request may take, its answer included. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time from one export to the next. Default 60 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long the same points may be tried, all requests and pauses included. Default 30 s.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = timeout;
        self
    }

    /// Whether requests are compressed. Default no.
    pub fn compression(mut self, compression: OtlpCompression) -> Self {
        self.compression = compression;
        self
    }

    /// The certificates of the authorities that the collector's certificate must come from, as PEM. Default: those that
    /// the system trusts.
    pub fn certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some(Bytes::from(pem.into()));
        self
    }

    /// Who the service is to a collector that asks for a certificate (mutual TLS): the certificate with those it comes from,
    /// and its key, both as PEM. Default: it says nothing.
    pub fn client_identity(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let [certificates, key] = [Bytes::from(certificates.into()), Bytes::from(key.into())];
        self.client_identity = Some(ClientIdentity { certificates, key });
        self
    }

    /// What counters and histograms count from. Default their start.
    pub fn temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }

    /// An attribute of the resource, such as `deployment.environment.name`. One of the same name is replaced, be it one
    /// that is set by default; only `service.name` is that of the [`Monitoring`](crate::Monitoring).
    pub fn resource_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.attributes.retain(|(existing, _)| *existing != name);
        self.attributes.push((name, value.into()));
        self
    }

    /// Sends each tenant's points in requests of their own, with this header naming the tenant: `X-Scope-OrgID` for
    /// Mimir. What belongs to no registered tenant goes without, or with the [`header`](Self::header) of that name.
    /// Default: tenants share requests.
    pub fn tenant_header(mut self, name: impl Into<String>) -> Self {
        self.tenant_header = Some(name.into());
        self
    }

    /// Whether the settings make sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.target()?;
        self.header_map()?;
        self.tenant_header_name()?;
        for (setting, time) in [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", self.timeout),
            ("OTEL_METRIC_EXPORT_INTERVAL", self.interval),
            ("OTEL_METRIC_EXPORT_TIMEOUT", self.export_timeout),
        ] {
            if time < Duration::from_millis(1) || time > MAX_TIME {
                return Err(ConfigError::Invalid { setting, expected: "from 1 millisecond to 24 hours" });
            }
        }
        if let Some(pem) = &self.certificate {
            tls::authorities(pem)?;
        }
        if let Some(identity) = &self.client_identity {
            tls::check_identity(identity)?;
        }
        Ok(())
    }

    /// Where requests go.
    pub(super) fn target(&self) -> Result<Uri, ConfigError> {
        let invalid = |expected| Err(ConfigError::Invalid { setting: "OTEL_EXPORTER_OTLP_ENDPOINT", expected });
        let (text, has_path) = match self.protocol {
            OtlpProtocol::HttpProtobuf => ("http://localhost:4318/v1/metrics", true),
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => ("http://localhost:4317", false),
        };
        let mut text = Cow::Borrowed(self.endpoint.as_deref().unwrap_or(text));
        let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
        if has_path && !after_scheme.is_empty() && !after_scheme.contains(['/', '?', '#']) {
            text.to_mut().push_str("/v1/metrics");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return invalid("a URL such as http://localhost:4318");
        };
        let Some(authority) = uri.authority() else {
            return invalid("a URL with scheme and host, such as http://localhost:4318");
        };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return invalid("a URL that begins with http:// or https://");
        }
        if authority.as_str().contains('@') {
            return invalid("a URL without user and password; put credentials into OTEL_EXPORTER_OTLP_HEADERS");
        }
        if !has_path && (uri.path() != "/" || uri.query().is_some()) {
            return invalid("a URL without a path, such as http://localhost:4317, because the protocol is grpc");
        }
        Ok(uri)
    }

    /// The headers of every request.
    pub(super) fn header_map(&self) -> Result<HeaderMap, ConfigError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = |expected| ConfigError::Invalid { setting: "OTEL_EXPORTER_OTLP_HEADERS", expected };
            let name = header_name(name).ok_or_else(|| invalid(HEADER_NAME))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| invalid("values of visible characters, without line feeds"))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        Ok(map)
    }

    /// The header that names the tenant.
    pub(super) fn tenant_header_name(&self) -> Result<Option<HeaderName>, ConfigError> {
        let invalid = ConfigError::Invalid { setting: "MONITORING_OTLP_TENANT_HEADER", expected: HEADER_NAME };
        match &self.tenant_header {
            Some(name) => header_name(name).map(Some).ok_or(invalid),
            None => Ok(None),
        }
    }

    /// The time from one export to the next.
    pub(crate) fn time_between_exports(&self) -> Duration {
        self.interval
    }

    /// Whether counters and histograms count from the last request.
    pub(super) fn is_delta(&self) -> bool {
        match self.temporality {
            Temporality::Cumulative => false,
            Temporality::Delta | Temporality::LowMemory => true,
        }
    }
}

const HEADER_NAME: &str =
    "names of letters, digits and hyphens, such as X-Scope-OrgID, and none that says how a request is read";

fn header_name(name: &str) -> Option<HeaderName> {
    let name: HeaderName = name.parse().ok()?;
    // In gRPC the former have a meaning of their own, and the latter carry bytes.
    let is_of_grpc = name.as_str().starts_with("grpc-") || name.as_str().ends_with("-bin");
    (!is_of_grpc && !OWN_HEADERS.contains(&name.as_str())).then_some(name)
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers' values stay out, and so does the endpoint: its path may be a secret.
        formatter
            .debug_struct("OtlpConfig")
            .field("protocol", &self.protocol)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("interval", &self.interval)
            .field("compression", &self.compression)
            .field("temporality", &self.temporality)
            .field("tenant_header", &self.tenant_header)
            .finish_non_exhaustive()
    }
}
