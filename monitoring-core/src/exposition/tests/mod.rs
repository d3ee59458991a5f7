//! Tests of the exposition, by format.
//!
//! `text.rs`: the Prometheus text format, and the chunks; `open_metrics.rs`: where OpenMetrics differs; `protobuf.rs`: the
//! messages, decoded; `tenant.rs`: what a tenant is shown, in all formats; `cost.rs`: the memory of a long exposition.

mod cost;
mod open_metrics;
#[cfg(feature = "protobuf")]
mod protobuf;
mod tenant;
mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::stream::Writer;
use super::{Exposition, Format};
use crate::catalogue::{Descriptor, Unit};
use crate::store::{Family, KeptExemplar, Series, View};
use crate::{Exemplar, LabelSet, LabelValue, Monitoring, Symbol};

const THINGS: Unit = Unit::Count("{thing}");

/// All formats that there are.
const FORMATS: &[Format] = &[
    Format::Text,
    Format::OpenMetrics,
    #[cfg(feature = "protobuf")]
    Format::Protobuf,
];

#[derive(Clone, Copy, LabelValue)]
enum Color {
    Red,
    #[label("")]
    None,
}

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    color: Color,
    name: Symbol,
}

fn monitoring() -> Monitoring {
    Monitoring::builder("test").build().unwrap()
}

fn labels(monitoring: &Monitoring, color: Color, name: &str) -> Labels {
    Labels { color, name: monitoring.registry().symbol(name) }
}

fn bytes(exposition: Exposition) -> Vec<u8> {
    exposition.collect::<Vec<_>>().concat()
}

/// The family under test: with its place, and its first series.
fn family<'a>(monitoring: &'a Monitoring, name: &str) -> (usize, &'a Family, Series) {
    let families = (0..).map_while(|place| Some((place, monitoring.registry().family_at(place)?)));
    let (place, family) = families.into_iter().find(|(_, family)| family.name() == name).unwrap();
    let mut series = Series::default();
    assert!(family.read(View::Whole, &mut series));
    (place, family, series)
}

/// What a writer makes of one series of a family, with exemplars that the store need not have.
fn written(
    mut writer: impl Writer,
    (place, family, series): (usize, &Family, Series),
    exemplar: impl Fn(usize) -> Option<KeptExemplar>,
) -> Vec<u8> {
    let mut out = Vec::new();
    writer.begin(&mut out, family, place);
    writer.write(&mut out, family, &series, exemplar);
    writer.end(&mut out);
    writer.finish(&mut out);
    out
}

fn kept(value: f64) -> KeptExemplar {
    let exemplar =
        Exemplar { trace_id: *b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", span_id: [0xb7; 8] };
    KeptExemplar { exemplar, value, time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_250) }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\\\\"\n\r\t{}=,\0 a#]{0,12}",
        "\\PC{0,80}",
        "[\u{5d0}-\u{5ea}\u{202e}\u{301}]{0,20}"
    ]
}
