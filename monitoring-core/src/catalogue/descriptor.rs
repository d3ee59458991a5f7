//! What a descriptor is, and how its name becomes a Prometheus name.

use crate::tenant::Detail;

/// What a metric is: one entry of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descriptor {
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    per_tenant: bool,
    buckets: &'static [f64],
    is_exponential: bool,
    detail: Detail,
    help: &'static str,
    stability: Stability,
    source: &'static str,
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks by what is added to it.
    UpDownCounter,
    /// Is set.
    Gauge,
    /// Is counted into buckets, and summed.
    Histogram,
}

/// What a value is measured in. Prometheus gets base units, as words at the end of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things, such as `{request}`: no word in the name.
    Count(&'static str),
    /// A share from 0 to 1: `_ratio` at the end of a gauge's name.
    Ratio,
    /// Seconds (`s`).
    Seconds,
    /// Bytes (`By`).
    Bytes,
}

/// Whether a name can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stability {
    /// A stable OpenTelemetry convention.
    Stable,
    /// An OpenTelemetry convention in development: its name may follow the convention in a minor release.
    Development,
    /// Our own name, kept as any public API is.
    Own,
}

impl Descriptor {
    const fn new(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Self {
        Self {
            name,
            kind,
            unit,
            labels: &[],
            per_tenant: false,
            buckets: &[],
            is_exponential: false,
            detail: Detail::Full,
            help,
            stability: Stability::Own,
            source: "this catalogue",
        }
    }

    /// A counter: a value that only grows.
    pub const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::new(name, Kind::Counter, unit, help)
    }

    /// An up-down counter: a value that grows and shrinks by what is added to it.
    pub const fn up_down_counter(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::new(name, Kind::UpDownCounter, unit, help)
    }

    /// A gauge: a value that is set.
    pub const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, unit, help)
    }

    /// A histogram with these upper bounds, in `unit`, ascending; `+Inf` is added.
    pub const fn histogram(name: &'static str, unit: Unit, buckets: &'static [f64], help: &'static str) -> Self {
        let mut descriptor = Self::new(name, Kind::Histogram, unit, help);
        descriptor.buckets = buckets;
        descriptor
    }

    /// With these labels besides the tenant, as attribute names (`http.request.method`).
    #[must_use]
    pub const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// With a series for each tenant.
    #[must_use]
    pub const fn per_tenant(mut self) -> Self {
        self.per_tenant = true;
        self
    }

    /// With base-2 exponential buckets beside the explicit ones: they leave by protobuf, as a native histogram, and by
    /// OTLP. Every series takes about 4 KiB more.
    #[must_use]
    pub const fn exponential(mut self) -> Self {
        self.is_exponential = true;
        self
    }

    /// Shown by name for tenants of that detail and more. Default [`Detail::Full`].
    #[must_use]
    pub const fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Named by that convention.
    #[must_use]
    pub const fn convention(mut self, stability: Stability, source: &'static str) -> Self {
        self.stability = stability;
        self.source = source;
        self
    }

    /// The OpenTelemetry name, such as `http.server.request.duration`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How the values behave.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the values are measured in.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The attributes of each point, the tenant left out.
    pub const fn label_names(&self) -> &'static [&'static str] {
        self.labels
    }

    /// Whether there is a series for each tenant.
    pub const fn is_per_tenant(&self) -> bool {
        self.per_tenant
    }

    /// The upper bounds of the buckets, in [`unit`](Self::unit), without `+Inf`; empty if this is no histogram.
    pub const fn buckets(&self) -> &'static [f64] {
        self.buckets
    }

    /// Whether there are base-2 exponential buckets beside the explicit ones.
    pub const fn is_exponential(&self) -> bool {
        self.is_exponential
    }

    /// The detail that a tenant needs to be shown by name.
    pub const fn needed_detail(&self) -> Detail {
        self.detail
    }

    /// What the metric tells, in one sentence.
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// Whether the name can still change.
    pub const fn stability(&self) -> Stability {
        self.stability
    }

    /// Who gave the metric its name.
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// The name in Prometheus, by the OpenTelemetry rules (specification 1.60.0, "Prometheus and OpenMetrics
    /// Compatibility"): illegal characters become `_`, then come the unit and, for a counter, `_total`.
    ///
    /// ```
    /// use monitoring_core::catalogue::HTTP_SERVER_REQUEST_DURATION;
    ///
    /// assert_eq!(HTTP_SERVER_REQUEST_DURATION.prometheus_name(), "http_server_request_duration_seconds");
    /// ```
    pub fn prometheus_name(&self) -> String {
        let mut name = prometheus_label(self.name);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            name.insert(0, '_');
        }
        let unit = match (self.unit, self.kind) {
            (Unit::Seconds, _) => "_seconds",
            (Unit::Bytes, _) => "_bytes",
            (Unit::Ratio, Kind::Gauge) => "_ratio",
            (Unit::Ratio | Unit::Count(_), _) => "",
        };
        // The unit comes before it.
        if self.kind == Kind::Counter
            && let Some(base) = name.strip_suffix("_total").filter(|base| !base.is_empty())
        {
            name.truncate(base.len());
        }
        if !name.ends_with(unit) {
            name.push_str(unit);
        }
        if self.kind == Kind::Counter && !name.ends_with("_total") {
            name.push_str("_total");
        }
        name
    }
}

/// An attribute's name as a Prometheus label: illegal characters become `_`, and a run of them one.
pub(crate) fn prometheus_label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            label.push(letter);
        } else if !label.ends_with('_') {
            label.push('_');
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::super::{ALL, Descriptor, Kind, Unit};

    #[test]
    fn names_are_mapped_by_the_rules_of_the_specification() {
        let cases = [
            (Descriptor::counter("saas.tenant.requests", Unit::Count("{request}"), ""), "saas_tenant_requests_total"),
            (Descriptor::counter("saas.tenant.db.time", Unit::Seconds, ""), "saas_tenant_db_time_seconds_total"),
            (Descriptor::gauge("saas.feature.adoption", Unit::Ratio, ""), "saas_feature_adoption_ratio"),
            (Descriptor::gauge("monitoring.series.bytes", Unit::Bytes, ""), "monitoring_series_bytes"),
            (Descriptor::up_down_counter("a..b-c", Unit::Count("{x}"), ""), "a_b_c"),
            (Descriptor::counter("2fa.logins.total", Unit::Count("{login}"), ""), "_2fa_logins_total"),
            (Descriptor::counter("a.total", Unit::Seconds, ""), "a_seconds_total"),
            (Descriptor::counter("a.seconds.total", Unit::Seconds, ""), "a_seconds_total"),
            (Descriptor::counter("total", Unit::Bytes, ""), "total_bytes_total"),
            (Descriptor::gauge("a.total", Unit::Seconds, ""), "a_total_seconds"),
            (Descriptor::gauge("", Unit::Count("{x}"), ""), "_"),
            (Descriptor::gauge("größe", Unit::Count("{x}"), ""), "gr_e"),
        ];
        for (descriptor, expected) in cases {
            assert_eq!(descriptor.prometheus_name(), expected);
        }
    }

    #[test]
    fn every_name_is_unique_and_every_metric_is_explained() {
        let mut names: Vec<_> = ALL.iter().map(Descriptor::prometheus_name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for descriptor in ALL {
            assert!(descriptor.help().len() > 10, "{} has no help", descriptor.name());
            assert!(!descriptor.label_names().contains(&"tenant"), "{} lists the tenant", descriptor.name());
        }
    }

    #[test]
    fn a_histogram_has_ascending_positive_buckets_and_nothing_else_has_any() {
        for descriptor in ALL {
            let buckets = descriptor.buckets();
            assert_eq!(descriptor.kind() == Kind::Histogram, !buckets.is_empty(), "{}", descriptor.name());
            assert!(buckets.iter().all(|bound| *bound > 0.0));
            assert!(buckets.is_sorted_by(|lower, upper| lower < upper), "{}", descriptor.name());
        }
    }
}
