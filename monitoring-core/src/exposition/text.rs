//! The Prometheus text format, version 0.0.4.

use std::fmt;
use std::io::Write;

use bytes::Bytes;

use crate::catalogue::Kind;
use crate::store::{Combination, Family, Reading, Registry, Scale, Series};
use crate::tenant::TenantText;

/// A chunk is given out when it is at least this long.
const CHUNK: usize = 32 * 1024;

/// The whole store in the Prometheus text format 0.0.4, as chunks of about 32 KiB: made by
/// [`Monitoring::exposition`](crate::Monitoring::exposition).
///
/// Nothing is locked between chunks, so a slow reader holds up nobody. Each value is read when its line is written:
/// counters never fall from one exposition to the next, and a histogram's `+Inf` bucket equals its count.
pub struct Exposition {
    registry: Registry,
    /// The place of the family being written.
    place: usize,
    /// The series of that family to write next; `None` while the family has written nothing.
    series: Option<Series>,
    buffer: Vec<u8>,
}

impl Exposition {
    /// What `Content-Type` says of it.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    pub(crate) fn new(registry: Registry) -> Self {
        registry.collect();
        Self { registry, place: 0, series: None, buffer: Vec::with_capacity(CHUNK + 4096) }
    }

    /// Writes until the buffer holds a chunk; `false` at the end of the store.
    fn fill(&mut self) -> bool {
        while self.buffer.len() < CHUNK {
            let Some(family) = self.registry.family_at(self.place) else { return false };
            let is_first = self.series.is_none();
            let series = self.series.get_or_insert_with(Series::default);
            if family.read(series) {
                if is_first {
                    write_head(&mut self.buffer, family);
                }
                write_series(&mut self.buffer, family, series);
                series.advance();
            } else {
                self.place += 1;
                self.series = None;
            }
        }
        true
    }
}

impl Iterator for Exposition {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.fill();
        if self.buffer.is_empty() {
            return None;
        }
        let chunk = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        Some(chunk)
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exposition").field("family", &self.place).finish_non_exhaustive()
    }
}

fn write_head(out: &mut Vec<u8>, family: &Family) {
    let kind = match family.reading().kind() {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    if !family.help().is_empty() {
        push(out, &["# HELP ", family.name(), " "]);
        for letter in family.help().bytes() {
            match letter {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                other => out.push(other),
            }
        }
        out.push(b'\n');
    }
    push(out, &["# TYPE ", family.name(), " ", kind, "\n"]);
}

fn write_series(out: &mut Vec<u8>, family: &Family, series: &Series) {
    let (tenant, combination) = family.labels(series);
    let labels =
        Labels { tenant: tenant.map_or("", TenantText::pair), others: combination.map_or("", Combination::text) };
    let name = family.name();
    match family.reading() {
        Reading::Counter(scale) => {
            labels.write_line(out, name, "", None, |out| write_value(out, first(series), *scale))
        }
        Reading::UpDownCounter => labels.write_line(out, name, "", None, |out| {
            push(out, &[itoa::Buffer::new().format(first(series).cast_signed())]);
        }),
        Reading::Gauge => labels.write_line(out, name, "", None, |out| write_value(out, first(series), Scale::Float)),
        Reading::Histogram { texts, scale, .. } => {
            let mut count = 0_u64;
            let bounds = texts.iter().map(AsRef::as_ref).chain(["+Inf"]);
            for (bound, bucket) in bounds.zip(series.words.iter().skip(1)) {
                count = count.saturating_add(*bucket);
                labels.write_line(out, name, "_bucket", Some(bound), |out| write_value(out, count, Scale::One));
            }
            labels.write_line(out, name, "_sum", None, |out| write_value(out, first(series), *scale));
            labels.write_line(out, name, "_count", None, |out| write_value(out, count, Scale::One));
        }
    }
}

fn first(series: &Series) -> u64 {
    series.words.first().copied().unwrap_or_default()
}

/// The label pairs of a series, escaped.
struct Labels<'a> {
    tenant: &'a str,
    others: &'a str,
}

impl Labels<'_> {
    fn write_line(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        suffix: &str,
        bound: Option<&str>,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        push(out, &[name, suffix]);
        let mut separator = "{";
        for pair in [self.tenant, self.others] {
            if !pair.is_empty() {
                push(out, &[separator, pair]);
                separator = ",";
            }
        }
        if let Some(bound) = bound {
            push(out, &[separator, "le=\"", bound, "\""]);
            separator = ",";
        }
        if separator == "," {
            out.push(b'}');
        }
        out.push(b' ');
        value(out);
        out.push(b'\n');
    }
}

fn write_value(out: &mut Vec<u8>, word: u64, scale: Scale) {
    match scale {
        Scale::One => push(out, &[itoa::Buffer::new().format(word)]),
        Scale::Nanoseconds => write_seconds(out, word),
        Scale::Float => {
            // A `Vec` takes every write.
            let _ = match f64::from_bits(word) {
                value if value == f64::INFINITY => out.write_all(b"+Inf"),
                value if value == f64::NEG_INFINITY => out.write_all(b"-Inf"),
                value => write!(out, "{value}"),
            };
        }
    }
}

/// Nanoseconds as seconds, exactly.
fn write_seconds(out: &mut Vec<u8>, nanoseconds: u64) {
    push(out, &[itoa::Buffer::new().format(nanoseconds / 1_000_000_000)]);
    let fraction = nanoseconds % 1_000_000_000;
    if fraction == 0 {
        return;
    }
    let start = out.len();
    // With a leading one the zeros after the point are kept; the one then becomes the point.
    push(out, &[itoa::Buffer::new().format(fraction + 1_000_000_000)]);
    if let Some(point) = out.get_mut(start) {
        *point = b'.';
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
