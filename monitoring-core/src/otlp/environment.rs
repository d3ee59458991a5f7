//! How the push is set up by environment variables, as the OpenTelemetry specification names them.

use std::env::VarError;
use std::time::Duration;

use super::config::{MAX_TIME, OtlpCompression, OtlpConfig, OtlpProtocol, Temporality};
use crate::error::ConfigError;
use crate::variables::{LIST, Variables, decoded, pairs};

const MILLISECONDS: &str = "a whole number of milliseconds from 1 to 86400000";
const TIMEOUTS: &str = "a whole number of milliseconds from 0 (no limit) to 86400000";
const COMPRESSION: &str = "`gzip` or `none`";
const PROTOCOL: &str = "`http/protobuf` or `grpc`";
const TEMPORALITY: &str = "`cumulative`, `delta` or `lowmemory`";
const CERTIFICATE: &str = "the path of a PEM file that can be read";
const BASE: &str = "a URL without `?` and `#`, because the path /v1/metrics is added to it";

/// A setting of all signals, and the one of the metrics, which comes first.
struct Setting {
    metrics: &'static str,
    all: &'static str,
}

const ENDPOINT: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", all: "OTEL_EXPORTER_OTLP_ENDPOINT" };
const PROTOCOLS: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", all: "OTEL_EXPORTER_OTLP_PROTOCOL" };
const HEADERS: Setting = Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_HEADERS", all: "OTEL_EXPORTER_OTLP_HEADERS" };
const TIMEOUT: Setting = Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", all: "OTEL_EXPORTER_OTLP_TIMEOUT" };
const COMPRESSIONS: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", all: "OTEL_EXPORTER_OTLP_COMPRESSION" };
const CERTIFICATES: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", all: "OTEL_EXPORTER_OTLP_CERTIFICATE" };

const CLIENT_CERTIFICATES: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", all: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" };
const CLIENT_KEYS: Setting =
    Setting { metrics: "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", all: "OTEL_EXPORTER_OTLP_CLIENT_KEY" };

/// Those whose values are looked at again once all are known.
const CHECKED: [&Setting; 6] = [&ENDPOINT, &HEADERS, &TIMEOUT, &CERTIFICATES, &CLIENT_CERTIFICATES, &CLIENT_KEYS];

impl OtlpConfig {
    /// What the environment variables of [this module](crate::otlp#environment) say, whatever `OTEL_METRICS_EXPORTER` is:
    /// for an application that sets some of it in code.
    ///
    /// ```
    /// use monitoring_core::Monitoring;
    /// use monitoring_core::otlp::{OtlpConfig, Temporality};
    ///
    /// let push = OtlpConfig::from_env()?.temporality(Temporality::Delta);
    /// let monitoring = Monitoring::from_env("billing")?.otlp(push).build()?;
    /// # let _ = monitoring;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a variable cannot be used: the error names it and says what it may be.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(&Variables(|name: &str| std::env::var(name)))
    }

    /// What the environment says.
    pub(crate) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Result<String, VarError>,
    {
        let mut config = Self::default();
        if let Some(protocol) = variables.parse_first(&PROTOCOLS, PROTOCOL, |text| Some(text.to_owned()))? {
            config.protocol = protocol_named(&protocol.0, protocol.1)?;
        }
        if let Some(url) = variables.text(ENDPOINT.metrics)? {
            config.endpoint = Some(config.protocol.endpoint_as_it_is(url.trim()));
        } else if let Some(url) = variables.text(ENDPOINT.all)? {
            let below = config.protocol.endpoint_below(url.trim());
            config.endpoint = Some(below.ok_or(ConfigError::Invalid { setting: ENDPOINT.all, expected: BASE })?);
        }
        if let Some((headers, _)) = variables.parse_first(&HEADERS, LIST, headers).map_err(hidden)? {
            config = headers.into_iter().fold(config, |config, (name, value)| config.header(name, value));
        }
        if let Some((timeout, _)) = variables.parse_first(&TIMEOUT, TIMEOUTS, limit)? {
            config.timeout = timeout;
        }
        if let Some((compression, _)) = variables.parse_first(&COMPRESSIONS, COMPRESSION, compression)? {
            config.compression = compression;
        }
        if let Some((pem, _)) = variables.parse_first(&CERTIFICATES, CERTIFICATE, |path| std::fs::read(path).ok())? {
            config.certificate = Some(pem.into());
        }
        let certificates = variables.parse_first(&CLIENT_CERTIFICATES, CERTIFICATE, |path| std::fs::read(path).ok())?;
        let key = variables.parse_first(&CLIENT_KEYS, CERTIFICATE, |path| std::fs::read(path).ok())?;
        match (certificates, key) {
            (Some((certificates, _)), Some((key, _))) => config = config.client_identity(certificates, key),
            (Some(_), None) => {
                return Err(ConfigError::Invalid { setting: CLIENT_KEYS.all, expected: WITH_CERTIFICATE });
            }
            (None, Some(_)) => {
                return Err(ConfigError::Invalid { setting: CLIENT_CERTIFICATES.all, expected: WITH_KEY });
            }
            (None, None) => {}
        }
        if let Some(interval) = variables.parse("OTEL_METRIC_EXPORT_INTERVAL", MILLISECONDS, milliseconds)? {
            config.interval = interval;
        }
        if let Some(timeout) = variables.parse("OTEL_METRIC_EXPORT_TIMEOUT", TIMEOUTS, limit)? {
            config.export_timeout = timeout;
        }
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        if let Some(temporality) = variables.parse(name, TEMPORALITY, temporality)? {
            config.temporality = temporality;
        }
        for (name, value) in variables.resource_attributes()? {
            config = config.resource_attribute(name, value);
        }
        if let Some(header) = variables.text("MONITORING_OTLP_TENANT_HEADER")? {
            config.tenant_header = Some(header.trim().to_owned());
        }
        config.check().map_err(|error| variables.renamed(error))?;
        Ok(config)
    }
}

impl OtlpProtocol {
    /// The URL for metrics below the one for all signals.
    fn endpoint_below(self, base: &str) -> Option<String> {
        match self {
            Self::HttpProtobuf if base.contains(['?', '#']) => None,
            Self::HttpProtobuf => Some(format!("{}/v1/metrics", base.trim_end_matches('/'))),
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc => Some(base.to_owned()),
        }
    }

    /// The URL that was given for the metrics: without a path it means the root, unlike in code.
    fn endpoint_as_it_is(self, url: &str) -> String {
        let has_path = url.split_once("://").is_none_or(|(_, rest)| rest.contains(['/', '?', '#']));
        if has_path { url.to_owned() } else { format!("{url}/") }
    }
}

impl<F: Fn(&str) -> Result<String, VarError>> Variables<F> {
    /// The value of the first variable that is set, and that variable.
    fn parse_first<T>(
        &self,
        setting: &Setting,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<(T, &'static str)>, ConfigError> {
        for name in [setting.metrics, setting.all] {
            if let Some(value) = self.parse(name, expected, &parse)? {
                return Ok(Some((value, name)));
            }
        }
        Ok(None)
    }

    /// The same error with the variable that was read, where one of the metrics alone stands for that of all signals.
    fn renamed(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Invalid { setting, expected } => {
                let ours =
                    CHECKED.iter().find(|one| one.all == setting && matches!(self.text(one.metrics), Ok(Some(_))));
                ConfigError::Invalid { setting: ours.map_or(setting, |one| one.metrics), expected }
            }
            other => other,
        }
    }
}

const WITH_CERTIFICATE: &str = "the key of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, which is set";
const WITH_KEY: &str = "the certificate of OTEL_EXPORTER_OTLP_CLIENT_KEY, which is set";

/// The same error without the text, which may be a secret.
fn hidden(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::Unreadable { setting, expected, .. } => ConfigError::Invalid { setting, expected },
        other => other,
    }
}

fn protocol_named(text: &str, setting: &'static str) -> Result<OtlpProtocol, ConfigError> {
    match text {
        "http/protobuf" => Ok(OtlpProtocol::HttpProtobuf),
        #[cfg(feature = "otlp-grpc")]
        "grpc" => Ok(OtlpProtocol::Grpc),
        #[cfg(not(feature = "otlp-grpc"))]
        "grpc" => Err(ConfigError::NotCompiled { setting, found: "grpc", feature: "otlp-grpc" }),
        "http/json" => {
            let expected = "`http/protobuf` or `grpc`; the JSON encoding is not supported";
            Err(ConfigError::Unreadable { setting, found: text.to_owned(), expected })
        }
        _ => Err(ConfigError::Unreadable { setting, found: text.chars().take(64).collect(), expected: PROTOCOL }),
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|number| (1..=86_400_000).contains(number)).map(Duration::from_millis)
}

/// The specification has 0 for no limit; there always is one here.
fn limit(text: &str) -> Option<Duration> {
    if text == "0" { Some(MAX_TIME) } else { milliseconds(text) }
}

fn compression(text: &str) -> Option<OtlpCompression> {
    match text {
        "gzip" => Some(OtlpCompression::Gzip),
        "none" => Some(OtlpCompression::None),
        _ => None,
    }
}

fn temporality(text: &str) -> Option<Temporality> {
    // The specification wants the values told apart whatever their case.
    match text.to_ascii_lowercase().as_str() {
        "cumulative" => Some(Temporality::Cumulative),
        "delta" => Some(Temporality::Delta),
        "lowmemory" => Some(Temporality::LowMemory),
        _ => None,
    }
}

/// `name=value,…` in the format of W3C baggage, values percent-encoded.
fn headers(text: &str) -> Option<Vec<(String, String)>> {
    pairs(text).map(|pair| pair.and_then(|(name, value)| Some((name.to_owned(), decoded(value)?)))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A file that can be read and is no PEM.
    const CARGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

    fn read(variables: &[(&str, &str)]) -> Result<OtlpConfig, ConfigError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let environment = |name: &str| variables.get(name).map(|text| (*text).to_owned()).ok_or(VarError::NotPresent);
        let config = OtlpConfig::from_variables(&Variables(environment))?;
        config.check()?;
        Ok(config)
    }

    fn target(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().target().unwrap().to_string()
    }

    #[test]
    fn without_variables_the_defaults_of_the_specification_stand() {
        let config = read(&[]).unwrap();
        assert_eq!(config.protocol, OtlpProtocol::HttpProtobuf);
        assert_eq!(config.target().unwrap(), "http://localhost:4318/v1/metrics");
        assert_eq!(config.timeout, Duration::from_secs(10));
        assert_eq!(config.interval, Duration::from_secs(60));
        assert_eq!(config.export_timeout, Duration::from_secs(30));
        assert_eq!(config.compression, OtlpCompression::None);
        assert_eq!(config.temporality, Temporality::Cumulative);
        assert!(config.headers.is_empty() && config.attributes.is_empty() && config.certificate.is_none());
        assert_eq!(config.tenant_header, None);
    }

    #[test]
    fn every_variable_sets_what_it_is_documented_to_set() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi,, x-a = b%3Dc "),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_METRIC_EXPORT_INTERVAL", " 15000 "),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "86400000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a%2Cb,%C3%A4=%3D"),
            ("MONITORING_OTLP_TENANT_HEADER", "X-Scope-OrgID"),
        ])
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(config.headers, [pair("authorization", "Basic YTpi"), pair("x-a", "b=c")]);
        assert_eq!(config.timeout, Duration::from_millis(1));
        assert_eq!(config.compression, OtlpCompression::Gzip);
        assert_eq!(config.interval, Duration::from_secs(15));
        assert_eq!(config.export_timeout, Duration::from_secs(24 * 60 * 60));
        assert_eq!(config.temporality, Temporality::Delta);
        assert_eq!(config.attributes, [pair("service.name", "a,b"), pair("ä", "=")]);
        assert_eq!(config.tenant_header.as_deref(), Some("X-Scope-OrgID"));
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        assert_eq!(read(&[(name, "LOWMEMORY")]).unwrap().temporality, Temporality::LowMemory);
    }

    #[test]
    fn the_endpoint_of_all_signals_is_a_base_and_that_of_the_metrics_is_taken_as_it_is() {
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let metrics = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        assert_eq!(target(&[(all, "https://host:1")]), "https://host:1/v1/metrics");
        assert_eq!(target(&[(all, "http://host/base/")]), "http://host/base/v1/metrics");
        assert_eq!(target(&[(metrics, "http://host/elsewhere?a=b")]), "http://host/elsewhere?a=b");
        assert_eq!(target(&[(metrics, "http://host")]), "http://host/");
        // In code, what has no path is a base too.
        let in_code = |url: &str| OtlpConfig::default().endpoint(url).target().unwrap().to_string();
        assert_eq!(in_code("http://host:1"), "http://host:1/v1/metrics");
        assert_eq!(in_code("http://host:1/"), "http://host:1/");
        assert_eq!(in_code("http://host?a=b"), "http://host/?a=b");
        assert_eq!(target(&[(all, "http://all"), (metrics, "http://metrics/m")]), "http://metrics/m");
    }

    #[test]
    fn a_variable_of_the_metrics_comes_before_the_one_of_all_signals() {
        for (setting, ours, others) in [
            (&HEADERS, "a=1", "a=2"),
            (&TIMEOUT, "1", "2"),
            (&COMPRESSIONS, "gzip", "none"),
            (&PROTOCOLS, "http/protobuf", "nonsense"),
        ] {
            let both = read(&[(setting.metrics, ours), (setting.all, others)]).unwrap();
            let one = read(&[(setting.metrics, ours)]).unwrap();
            let outcome = |config: OtlpConfig| (config.headers, config.timeout, config.compression, config.protocol);
            assert_eq!(outcome(both), outcome(one), "{}", setting.metrics);
        }
    }

    #[cfg(feature = "otlp-grpc")]
    #[test]
    fn grpc_has_its_own_port_and_no_path() {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(target(&[protocol]), "http://localhost:4317/");
        assert_eq!(target(&[protocol, ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://host:1/")]), "https://host:1/");
        let error = read(&[protocol, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/v1/metrics")]).unwrap_err();
        assert!(error.to_string().contains("without a path"), "{error}");
    }

    #[cfg(not(feature = "otlp-grpc"))]
    #[test]
    fn grpc_that_is_not_compiled_in_is_an_error_that_names_the_feature() {
        let error = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(error.to_string().contains("enable the feature `otlp-grpc` of monitoring-core"), "{error}");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name_and_what_to_do() {
        for (name, value, expected) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "the JSON encoding is not supported"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "carrier pigeon", "`http/protobuf` or `grpc`"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "a URL"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", "http:// or https://"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "a URL"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "a list such as"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "=secret", "a list such as"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%FFsecret", "a list such as"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0A", "without line feeds"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sec ret=a", "names of letters"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "content-type=a", "names of letters"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "grpc-timeout=a", "names of letters"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host?a=b", "without `?`"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host#a", "without `?`"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4318", "a URL"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "sec ret=a", "names of letters"),
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", CARGO, "a PEM file"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/there/is/no/such.pem", "a PEM file"),
            ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/there/is/no/such.pem", "a PEM file"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds from 0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds from 1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip` or `none`"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/no/such.pem", "a PEM file"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", CARGO, "a PEM file"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "-1", "milliseconds from 1"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "86400001", "milliseconds from 0"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both", "`delta`"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a", "a list such as"),
            ("MONITORING_OTLP_TENANT_HEADER", "X Scope", "X-Scope-OrgID"),
            ("MONITORING_OTLP_TENANT_HEADER", "Host", "X-Scope-OrgID"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(expected), "{name}={value}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_timeout_of_zero_is_as_long_as_there_is() {
        let names = ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"];
        let config = read(&names.map(|name| (name, "0"))).unwrap();
        assert_eq!((config.timeout, config.export_timeout), (MAX_TIME, MAX_TIME));
    }

    #[test]
    fn a_certificate_of_the_client_needs_its_key_and_the_key_its_certificate() {
        let [certificate, key] = ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
        for (given, missing) in [(certificate, key), (key, certificate)] {
            let error = read(&[(given, CARGO)]).unwrap_err().to_string();
            assert!(error.starts_with(missing) && error.contains(given), "{error}");
        }
        // What was set for the metrics alone is named so.
        let ours = "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE";
        let error = read(&[(ours, CARGO), (key, CARGO)]).unwrap_err().to_string();
        assert!(error.starts_with(ours), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://host/secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret"),
        ]);
        let text = format!("{:?}", config.unwrap());
        assert!(text.contains("authorization") && !text.contains("secret"), "{text}");
    }
}
