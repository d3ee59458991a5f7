//! How a [`Monitoring`](crate::Monitoring) is set up: by code, or by environment variables.

use std::env::VarError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::error::ConfigError;
#[cfg(feature = "metrics")]
use crate::facade::OutsideRecorder;
#[cfg(feature = "otlp")]
use crate::otlp::OtlpConfig;
#[cfg(feature = "runtime")]
use crate::runtime::RuntimeConfig;
use crate::store::CardinalityBudget;
use crate::variables::{Variables, boolean};

/// What a [`MonitoringBuilder`](crate::MonitoringBuilder) has been told.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) service_name: String,
    pub(crate) enabled: bool,
    pub(crate) metrics_address: SocketAddr,
    pub(crate) metrics_token: Option<String>,
    pub(crate) max_tenants: usize,
    pub(crate) admit_verified: bool,
    pub(crate) budget: CardinalityBudget,
    pub(crate) exponential_histograms: bool,
    #[cfg(feature = "metrics")]
    pub(crate) facade: bool,
    /// `None`: nothing is recorded into another recorder.
    #[cfg(feature = "metrics")]
    pub(crate) outside: Option<OutsideRecorder>,
    /// `None`: nothing is pushed.
    #[cfg(feature = "otlp")]
    pub(crate) otlp: Option<OtlpConfig>,
    #[cfg(feature = "runtime")]
    pub(crate) runtime: RuntimeConfig,
}

/// The shortest bearer token: 16 characters of a random token are beyond guessing.
const MIN_TOKEN: usize = 16;

/// The most of anything that is counted here: enough for any process, and far from overflowing an index.
const MAX_NUMBER: usize = 16_000_000;

/// The least bytes of the store: what its own families take, and a little more.
const MIN_BYTES: usize = 1 << 20;

/// The least time that a series without a change is kept.
const MIN_IDLE: Duration = Duration::from_secs(3_600);

/// The most.
const MAX_IDLE: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The most combinations of label values in a family.
const MAX_COMBINATIONS: u32 = 1 << 20;

impl Config {
    pub(crate) fn new(service_name: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            enabled: true,
            // The port that the OpenTelemetry specification gives a Prometheus exporter.
            metrics_address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464),
            metrics_token: None,
            max_tenants: 10_000,
            admit_verified: true,
            budget: CardinalityBudget::default(),
            exponential_histograms: false,
            #[cfg(feature = "metrics")]
            facade: true,
            #[cfg(feature = "metrics")]
            outside: None,
            #[cfg(feature = "otlp")]
            otlp: None,
            #[cfg(feature = "runtime")]
            runtime: RuntimeConfig::new(),
        }
    }

    /// Takes over what the environment says; what it leaves out stays.
    pub(crate) fn read(&mut self, environment: impl Fn(&str) -> Result<String, VarError>) -> Result<(), ConfigError> {
        let variables = Variables(environment);
        self.read_push(&variables)?;
        let mut attributes = variables.resource_attributes()?.into_iter();
        if let Some((_, name)) = attributes.rfind(|(name, value)| name == "service.name" && !value.is_empty()) {
            self.service_name = name;
        }
        if let Some(name) = variables.text("OTEL_SERVICE_NAME")? {
            self.service_name = name;
        }
        if let Some(disabled) = variables.text("OTEL_SDK_DISABLED")? {
            // The specification wants any other value taken for `false`: the variable is shared with other SDKs.
            self.enabled = boolean(disabled.trim()) != Some(true);
        }
        if let Some(host) = variables.parse("OTEL_EXPORTER_PROMETHEUS_HOST", HOST, host)? {
            self.metrics_address.set_ip(host);
        }
        if let Some(port) = variables.parse("OTEL_EXPORTER_PROMETHEUS_PORT", PORT, |text| text.parse().ok())? {
            self.metrics_address.set_port(port);
        }
        if let Some(token) = variables.text("MONITORING_METRICS_TOKEN")? {
            self.metrics_token = Some(token);
        }
        if let Some(tenants) = variables.parse("MONITORING_MAX_TENANTS", NUMBER, number)? {
            self.max_tenants = tenants;
        }
        if let Some(admit) = variables.parse("MONITORING_ADMIT_VERIFIED", "`true` or `false`", boolean)? {
            self.admit_verified = admit;
        }
        if let Some(series) = variables.parse("MONITORING_SERIES_PER_FAMILY", NUMBER, number)? {
            self.budget.per_family = series;
        }
        if let Some(series) = variables.parse("MONITORING_SERIES_PER_TENANT", NUMBER, number)? {
            self.budget.per_tenant = series;
        }
        if let Some(is_exponential) = variables.parse(AGGREGATION, AGGREGATIONS, aggregation)? {
            self.exponential_histograms = is_exponential;
        }
        if let Some(bytes) = variables.parse("MONITORING_STORE_BYTES", BYTES, |text| text.parse().ok())? {
            self.budget.bytes = bytes;
        }
        if let Some(combinations) = variables.parse("MONITORING_COMBINATIONS_PER_FAMILY", COMBINATIONS, combinations)? {
            self.budget.combinations = combinations;
        }
        Ok(())
    }

    /// Whether metrics are pushed, and how.
    fn read_push<F>(&mut self, variables: &Variables<F>) -> Result<(), ConfigError>
    where
        F: Fn(&str) -> Result<String, VarError>,
    {
        if variables.parse(METRICS_EXPORTER, EXPORTERS, pushes)? != Some(true) {
            return Ok(());
        }
        #[cfg(feature = "otlp")]
        {
            self.otlp = Some(OtlpConfig::from_variables(variables)?);
            Ok(())
        }
        #[cfg(not(feature = "otlp"))]
        Err(ConfigError::NotCompiled { setting: METRICS_EXPORTER, found: "otlp", feature: "otlp" })
    }

    /// The recorder that everything is recorded into; `None` if there is none, or nothing is recorded.
    #[cfg(feature = "metrics")]
    pub(crate) fn outside(&self) -> Option<&OutsideRecorder> {
        self.outside.as_ref().filter(|_| self.enabled)
    }

    /// Whether the settings make sense together, wherever they came from.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |setting, expected| Err(ConfigError::Invalid { setting, expected });
        if self.service_name.is_empty() || self.service_name.len() > 255 {
            return invalid("OTEL_SERVICE_NAME", "a name of 1 to 255 bytes");
        }
        if self.metrics_token.as_ref().is_some_and(|token| !is_token(token)) {
            return invalid("MONITORING_METRICS_TOKEN", TOKEN);
        }
        if self.max_tenants == 0 || self.max_tenants > MAX_NUMBER {
            return invalid("MONITORING_MAX_TENANTS", NUMBER);
        }
        if self.budget.per_family == 0 || self.budget.per_family > MAX_NUMBER {
            return invalid("MONITORING_SERIES_PER_FAMILY", NUMBER);
        }
        if self.budget.per_tenant == 0 {
            return invalid("MONITORING_SERIES_PER_TENANT", NUMBER);
        }
        if self.budget.bytes < MIN_BYTES {
            return invalid("MONITORING_STORE_BYTES", BYTES);
        }
        if self
            .budget
            .reserved
            .iter()
            .try_fold(0_usize, |sum, series| sum.checked_add(*series))
            .is_none_or(|sum| sum > self.budget.per_family)
        {
            return invalid(
                "CardinalityBudget::reserve",
                "reservations that together are at most the series of a family",
            );
        }
        if self.budget.idle < MIN_IDLE || self.budget.idle > MAX_IDLE {
            return invalid("CardinalityBudget::idle_after", "one hour (the default) to one year");
        }
        if self.budget.combinations == 0 || self.budget.combinations > MAX_COMBINATIONS {
            return invalid("MONITORING_COMBINATIONS_PER_FAMILY", COMBINATIONS);
        }
        #[cfg(feature = "otlp")]
        if let Some(otlp) = &self.otlp {
            otlp.check()?;
            // A series must have been pushed before it ends.
            if otlp.time_between_exports() >= self.budget.idle {
                return invalid(
                    "OTEL_METRIC_EXPORT_INTERVAL",
                    "less than CardinalityBudget::idle_after, one hour by default",
                );
            }
        }
        #[cfg(not(any(feature = "otlp", feature = "protobuf")))]
        if self.exponential_histograms {
            let found = "base2_exponential_bucket_histogram";
            return Err(ConfigError::NotCompiled { setting: AGGREGATION, found, feature: "protobuf` or `otlp" });
        }
        Ok(())
    }
}

const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const EXPORTERS: &str = "`otlp`, `prometheus` or `none`, or a list of them";
const HOST: &str = "an IP address to listen on, such as 127.0.0.1 (the default), or `localhost`";
const PORT: &str = "a port from 0 (any free one) to 65535";
const AGGREGATION: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const AGGREGATIONS: &str = "`explicit_bucket_histogram` (the default) or `base2_exponential_bucket_histogram`";
const BYTES: &str = "a number of bytes, at least 1048576";
const COMBINATIONS: &str = "a whole number from 1 to 1048576";
const NUMBER: &str = "a whole number from 1 to 16000000";
const TOKEN: &str = "16 to 4096 visible ASCII characters without a space or a line feed; a random one is best";

/// Whether a client can send it in a header.
fn is_token(token: &str) -> bool {
    (MIN_TOKEN..=4096).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a list of exporters has the one that pushes. Prometheus pulls, wherever the application opens `/metrics`.
fn pushes(list: &str) -> Option<bool> {
    list.split(',').map(str::trim).try_fold(false, |pushes, name| match name {
        "otlp" => Some(true),
        "prometheus" | "none" => Some(pushes),
        _ => None,
    })
}

/// Whether histograms are to have exponential buckets.
fn aggregation(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("explicit_bucket_histogram") => Some(false),
        _ if text.eq_ignore_ascii_case("base2_exponential_bucket_histogram") => Some(true),
        _ => None,
    }
}

fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse().ok() }
}

fn combinations(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| (1..=MAX_COMBINATIONS).contains(number))
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| (1..=MAX_NUMBER).contains(number))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::ffi::OsString;

    use super::*;

    /// The settings that `variables` make, and whether they make sense.
    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let mut config = Config::new("fallback");
        config.read(|name| variables.get(name).map(|text| (*text).to_owned()).ok_or(VarError::NotPresent))?;
        config.check()?;
        Ok(config)
    }

    fn message(variables: &[(&str, &str)]) -> String {
        match read(variables) {
            Ok(_) => panic!("{variables:?} should be refused"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn without_variables_the_defaults_stand() {
        let config = read(&[]).unwrap();
        assert_eq!(config.service_name, "fallback");
        assert!(config.enabled && config.admit_verified);
        assert_eq!(config.metrics_address, "127.0.0.1:9464".parse().unwrap());
        assert_eq!(config.metrics_token, None);
        assert_eq!(config.max_tenants, 10_000);
        assert_eq!(config.budget, CardinalityBudget::default());
    }

    #[test]
    fn every_variable_sets_what_it_is_documented_to_set() {
        let config = read(&[
            ("OTEL_SERVICE_NAME", "billing"),
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_EXPORTER_PROMETHEUS_HOST", "::1"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
            ("MONITORING_METRICS_TOKEN", "0123456789abcdef"),
            ("MONITORING_MAX_TENANTS", "16000000"),
            ("MONITORING_ADMIT_VERIFIED", "False"),
            ("MONITORING_SERIES_PER_FAMILY", "1"),
            ("MONITORING_SERIES_PER_TENANT", " 7 "),
        ])
        .unwrap();
        assert_eq!(config.service_name, "billing");
        assert!(!config.enabled && !config.admit_verified);
        assert_eq!(config.metrics_address, "[::1]:0".parse().unwrap());
        assert_eq!(config.metrics_token.as_deref(), Some("0123456789abcdef"));
        assert_eq!(config.max_tenants, 16_000_000);
        assert_eq!((config.budget.per_family, config.budget.per_tenant), (1, 7));

        let config = read(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost")]).unwrap();
        assert_eq!(config.metrics_address, "127.0.0.1:9464".parse().unwrap());
        let config = read(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")]).unwrap();
        assert_eq!(config.metrics_address, "0.0.0.0:9464".parse().unwrap());
    }

    const VARIABLES: [&str; 10] = [
        "OTEL_SERVICE_NAME",
        "OTEL_SDK_DISABLED",
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "MONITORING_METRICS_TOKEN",
        "MONITORING_MAX_TENANTS",
        "MONITORING_ADMIT_VERIFIED",
        "MONITORING_SERIES_PER_FAMILY",
        "MONITORING_SERIES_PER_TENANT",
        "MONITORING_COMBINATIONS_PER_FAMILY",
    ];

    #[test]
    fn the_shared_switch_is_off_whatever_it_says_but_true() {
        for (value, enabled) in [("true", false), ("TRUE", false), ("false", true), ("1", true), ("yes", true)] {
            assert_eq!(read(&[("OTEL_SDK_DISABLED", value)]).unwrap().enabled, enabled, "{value}");
        }
    }

    #[test]
    fn metrics_are_pushed_only_if_the_list_of_exporters_says_so() {
        for (list, expected) in [
            ("otlp", Some(true)),
            ("prometheus, otlp", Some(true)),
            ("prometheus", Some(false)),
            ("none", Some(false)),
            ("console", None),
            ("otlp,", None),
            ("OTLP", None),
        ] {
            assert_eq!(pushes(list), expected, "{list}");
        }
        assert!(message(&[("OTEL_METRICS_EXPORTER", "console")]).contains("`otlp`, `prometheus` or `none`"));
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn a_push_that_is_not_compiled_in_is_an_error_that_names_the_feature() {
        assert_eq!(
            message(&[("OTEL_METRICS_EXPORTER", "otlp")]),
            "OTEL_METRICS_EXPORTER asks for `otlp`, which is not compiled in: enable the feature `otlp` of monitoring-core"
        );
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn the_name_of_the_service_is_the_variable_of_that_name_then_that_of_the_resource() {
        let [exporter, attributes] =
            [("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=resource")];
        assert!(read(&[]).unwrap().otlp.is_none());
        assert!(read(&[exporter]).unwrap().otlp.is_some());
        assert_eq!(read(&[exporter]).unwrap().service_name, "fallback");
        assert_eq!(read(&[exporter, attributes]).unwrap().service_name, "resource");
        assert_eq!(read(&[exporter, attributes, ("OTEL_SERVICE_NAME", "own")]).unwrap().service_name, "own");
    }

    #[test]
    fn the_name_of_the_service_can_be_among_the_attributes_of_the_resource_also_if_nothing_is_pushed() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.name=of%20the%20resource");
        assert_eq!(read(&[attributes]).unwrap().service_name, "of the resource");
        assert_eq!(read(&[attributes, ("OTEL_SERVICE_NAME", "own")]).unwrap().service_name, "own");
        assert_eq!(read(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=,a=b")]).unwrap().service_name, "fallback");
        assert!(message(&[("OTEL_RESOURCE_ATTRIBUTES", "billing")]).contains("OTEL_RESOURCE_ATTRIBUTES"));
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_push_is_more_frequent_than_series_end() {
        let exporter = ("OTEL_METRICS_EXPORTER", "otlp");
        let message = message(&[exporter, ("OTEL_METRIC_EXPORT_INTERVAL", "3600000")]);
        assert!(message.contains("OTEL_METRIC_EXPORT_INTERVAL") && message.contains("idle_after"), "{message}");
        assert!(read(&[exporter, ("OTEL_METRIC_EXPORT_INTERVAL", "3599999")]).is_ok());
    }

    #[cfg(not(any(feature = "otlp", feature = "protobuf")))]
    #[test]
    fn exponential_histograms_that_could_leave_in_no_way_are_an_error_that_names_the_features() {
        assert!(
            message(&[(AGGREGATION, "base2_exponential_bucket_histogram")])
                .contains("enable the feature `protobuf` or `otlp` of monitoring-core")
        );
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let config = read(&VARIABLES.map(|name| (name, ""))).unwrap();
        assert_eq!(config.service_name, "fallback");
        assert!(config.enabled && config.admit_verified && config.metrics_token.is_none());
        assert_eq!(config.metrics_address.port(), 9464);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name_what_was_found_and_what_to_do() {
        for (name, value, expected) in [
            ("OTEL_EXPORTER_PROMETHEUS_HOST", "example.com", "an IP address"),
            ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1:9464", "an IP address"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536", "65535"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "-1", "65535"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "http", "65535"),
            ("MONITORING_MAX_TENANTS", "0", "from 1 to 16000000"),
            ("MONITORING_MAX_TENANTS", "16000001", "from 1 to 16000000"),
            ("MONITORING_MAX_TENANTS", "1e3", "from 1 to 16000000"),
            ("MONITORING_MAX_TENANTS", "99999999999999999999999", "from 1 to 16000000"),
            ("MONITORING_ADMIT_VERIFIED", "on", "`true` or `false`"),
            ("MONITORING_SERIES_PER_FAMILY", "many", "from 1 to 16000000"),
            ("MONITORING_SERIES_PER_TENANT", "0", "from 1 to 16000000"),
            ("MONITORING_COMBINATIONS_PER_FAMILY", "1048577", "from 1 to 1048576"),
        ] {
            let message = message(&[(name, value)]);
            for part in [name, &format!("{value:.64?}"), expected, "correct it or unset it"] {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
    }

    #[test]
    fn what_an_error_repeats_is_short_and_has_no_control_characters() {
        let message = message(&[("OTEL_EXPORTER_PROMETHEUS_PORT", &"\u{1b}[31m\n".repeat(10_000))]);
        assert!(message.len() < 1_000, "{} bytes", message.len());
        assert!(!message.contains(|letter: char| letter.is_control()), "{message}");
    }

    #[test]
    fn a_variable_that_is_no_text_is_refused_by_name() {
        for name in VARIABLES {
            let environment = |asked: &str| match asked == name {
                true => Err(VarError::NotUnicode(OsString::from("hidden"))),
                false => Err(VarError::NotPresent),
            };
            let error = Config::new("test").read(environment).unwrap_err();
            assert_eq!(error, ConfigError::Invalid { setting: name, expected: "UTF-8 text" });
            assert!(!error.to_string().contains("hidden"));
        }
    }

    #[test]
    fn a_token_must_be_long_and_fit_a_header_and_is_never_shown() {
        let long = "t".repeat(4_097);
        for token in ["secret", "secret secret secret", "secretsecretsecret\n", "sécretsecretsecretsecret", &long] {
            let error = read(&[("MONITORING_METRICS_TOKEN", token)]).map(|_| ()).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("MONITORING_METRICS_TOKEN") && shown.contains("16 to 4096"), "{shown}");
            assert!(!shown.contains("secret") && !shown.contains("ttt"), "{shown}");
        }
        for token in ["0123456789abcdef", &"t".repeat(4_096), "A-._~+/z0123456789=="] {
            assert_eq!(read(&[("MONITORING_METRICS_TOKEN", token)]).unwrap().metrics_token.as_deref(), Some(token));
        }
    }

    #[test]
    fn a_service_name_has_a_length() {
        let mut config = Config::new("");
        assert!(config.check().unwrap_err().to_string().contains("OTEL_SERVICE_NAME"));
        config.service_name = "s".repeat(256);
        assert!(config.check().is_err());
        config.service_name = "s".repeat(255);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn limits_set_in_code_are_checked_like_those_of_the_environment() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::new("test");
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|config| config.max_tenants = 0).contains("MONITORING_MAX_TENANTS"));
        assert!(refused(|config| config.max_tenants = usize::MAX).contains("MONITORING_MAX_TENANTS"));
        assert!(refused(|config| config.budget.per_family = usize::MAX).contains("MONITORING_SERIES_PER_FAMILY"));
        assert!(refused(|config| config.budget.per_tenant = 0).contains("MONITORING_SERIES_PER_TENANT"));
        assert!(refused(|config| config.budget.combinations = 0).contains("MONITORING_COMBINATIONS_PER_FAMILY"));
        assert!(refused(|config| config.budget.combinations = u32::MAX).contains("MONITORING_COMBINATIONS_PER_FAMILY"));
    }
}
