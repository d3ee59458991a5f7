//! The two text formats, line by line: Prometheus 0.0.4, and OpenMetrics 1.0.0 where it differs.

use std::time::{SystemTime, UNIX_EPOCH};

use super::number::{canonical_bound, hex_digits, push_float, push_seconds, push_signed, push_whole, push_word};
use super::open_metrics::OpenMetrics;
use super::stream::Writer;
use crate::catalogue::Kind;
use crate::store::{Combination, Exemplar, Family, KeptExemplar, Reading, Series};
use crate::tenant::TenantText;

/// Writes families as text.
pub(super) struct Lines {
    /// `None` writes the Prometheus text format.
    open_metrics: Option<OpenMetrics>,
    names: Names,
    /// The labels of a histogram's series, up to where `le` comes: they are on each of its lines.
    labels: Vec<u8>,
}

/// What is the same in all lines of a family, prepared when its head is written.
#[derive(Default)]
struct Names {
    /// What a line begins with that is about a value, or about the sum, the count and a bucket of a histogram.
    value: String,
    sum: String,
    count: String,
    bucket: String,
    /// `le="0.5"} `, and the one of `+Inf` at last.
    bounds: Vec<String>,
}

impl Lines {
    pub(super) fn text() -> Self {
        Self { open_metrics: None, names: Names::default(), labels: Vec::new() }
    }

    pub(super) fn open_metrics(open_metrics: OpenMetrics) -> Self {
        Self { open_metrics: Some(open_metrics), ..Self::text() }
    }
}

impl Writer for Lines {
    fn begin(&mut self, out: &mut Vec<u8>, family: &Family, place: usize) {
        let kind = match family.reading().kind() {
            Kind::Counter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let value = match &self.open_metrics {
            None => {
                if !family.help().is_empty() {
                    push_help(out, family.name(), family.help(), |letter| letter == b'\\');
                }
                push(out, &["# TYPE ", family.name(), " ", kind, "\n"]);
                family.name().to_owned()
            }
            Some(open_metrics) => {
                let naming = open_metrics.naming(family, place);
                let name = naming.family();
                push(out, &["# TYPE ", name, " ", naming.kind().unwrap_or(kind), "\n"]);
                if let Some(unit) = naming.unit(family.descriptor()) {
                    push(out, &["# UNIT ", name, " ", unit, "\n"]);
                }
                if !family.help().is_empty() {
                    push_help(out, name, family.help(), |letter| matches!(letter, b'\\' | b'"'));
                }
                naming.sample()
            }
        };
        let is_open_metrics = self.open_metrics.is_some();
        self.names.bounds.clear();
        if let Reading::Histogram { texts, .. } = family.reading() {
            let bounds = texts.iter().map(|text| match text.parse() {
                Ok(bound) if is_open_metrics => format!("le=\"{}\"}} ", canonical_bound(bound)),
                _ => format!("le=\"{text}\"}} "),
            });
            self.names.bounds.extend(bounds.chain(["le=\"+Inf\"} ".to_owned()]));
            self.names.bucket = format!("{value}_bucket");
            self.names.sum = format!("{value}_sum");
            self.names.count = format!("{value}_count");
        }
        self.names.value = value;
    }

    #[inline]
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        family: &Family,
        series: &Series,
        exemplar: impl Fn(usize) -> Option<KeptExemplar>,
    ) {
        let (tenant, combination) = family.labels(series);
        let tenant = tenant.map_or("", TenantText::pair);
        let others = combination.map_or("", Combination::text);
        let first = series.words.first().copied().unwrap_or_default();
        match family.reading() {
            Reading::Counter(scale) => {
                push_labelled(out, &self.names.value, tenant, others);
                push_word(out, first, *scale);
                out.push(b'\n');
            }
            Reading::UpDownCounter => {
                push_labelled(out, &self.names.value, tenant, others);
                push_signed(out, first.cast_signed());
                out.push(b'\n');
            }
            Reading::Gauge => {
                push_labelled(out, &self.names.value, tenant, others);
                push_float(out, f64::from_bits(first));
                out.push(b'\n');
            }
            Reading::Histogram { scale, .. } => {
                self.join_labels(tenant, others);
                let mut count = 0_u64;
                let buckets = self.names.bounds.iter().zip(series.words.iter().skip(1));
                for (bucket, (bound, counted)) in buckets.enumerate() {
                    count = count.saturating_add(*counted);
                    push(out, &[&self.names.bucket]);
                    out.extend_from_slice(&self.labels);
                    push(out, &[bound]);
                    push_whole(out, count);
                    // The other text format has none. No histogram is of unknown type, so each may have some here.
                    if self.open_metrics.is_some()
                        && let Some(kept) = exemplar(bucket)
                    {
                        push_exemplar(out, &kept);
                    }
                    out.push(b'\n');
                }
                push_labelled(out, &self.names.sum, tenant, others);
                push_word(out, first, *scale);
                out.push(b'\n');
                push_labelled(out, &self.names.count, tenant, others);
                push_whole(out, count);
                out.push(b'\n');
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.open_metrics.is_some() {
            out.extend_from_slice(b"# EOF\n");
        }
    }
}

impl Lines {
    /// `{tenant="acme",method="GET",`, or `{` alone.
    fn join_labels(&mut self, tenant: &str, others: &str) {
        self.labels.clear();
        self.labels.push(b'{');
        for pairs in [tenant, others] {
            if !pairs.is_empty() {
                push(&mut self.labels, &[pairs, ","]);
            }
        }
    }
}

/// A name and its labels, up to the value.
#[inline]
fn push_labelled(out: &mut Vec<u8>, name: &str, tenant: &str, others: &str) {
    out.extend_from_slice(name.as_bytes());
    if !tenant.is_empty() || !others.is_empty() {
        out.push(b'{');
        out.extend_from_slice(tenant.as_bytes());
        if !tenant.is_empty() && !others.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(others.as_bytes());
        out.push(b'}');
    }
    out.push(b' ');
}

/// ` # {trace_id="…",span_id="…"} 0.25 1700000000.5`
fn push_exemplar(out: &mut Vec<u8>, kept: &KeptExemplar) {
    let Exemplar { trace_id, span_id } = &kept.exemplar;
    push(out, &[" # {trace_id=\""]);
    out.extend(hex_digits(trace_id));
    push(out, &["\",span_id=\""]);
    out.extend(hex_digits(span_id));
    push(out, &["\"} "]);
    push_float(out, kept.value);
    out.push(b' ');
    push_seconds(out, nanoseconds(kept.time));
}

/// Since 1970: never less, and at most up to the year 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn push_help(out: &mut Vec<u8>, name: &str, help: &str, is_escaped: impl Fn(u8) -> bool) {
    push(out, &["# HELP ", name, " "]);
    for letter in help.bytes() {
        match letter {
            b'\n' => out.extend_from_slice(b"\\n"),
            letter if is_escaped(letter) => out.extend_from_slice(&[b'\\', letter]),
            letter => out.push(letter),
        }
    }
    out.push(b'\n');
}

#[inline]
fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
