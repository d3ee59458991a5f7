//! The exposition as a stream of chunks: which families and series come next, whatever they are written as.

use std::fmt;

use bytes::Bytes;

use super::Format;
use super::lines::Lines;
use super::open_metrics::OpenMetrics;
#[cfg(feature = "protobuf")]
use super::protobuf::Messages;
use crate::store::{Family, KeptExemplar, Registry, Series, View};
use crate::tenant::{Tenant, TenantRegistry};

/// A chunk is given out when it is at least this long.
pub(super) const CHUNK: usize = 32 * 1024;

/// Room for what is longer in a chunk: the last thing written into it.
const SLACK: usize = 4 * 1024;

/// The store in one [`Format`], as chunks of about 32 KiB: made by
/// [`Monitoring::exposition`](crate::Monitoring::exposition) and its companions.
///
/// Nothing is locked between chunks, so a slow reader holds up nobody; each chunk is two allocations, and nothing else
/// grows with the number of series. Each value is read when its line is written: counters never fall from one exposition
/// to the next, and a histogram's `+Inf` bucket equals its count. A metric that is registered meanwhile is in the next
/// exposition.
pub struct Exposition {
    registry: Registry,
    /// What is read; `None` is nothing at all.
    view: Option<View>,
    format: Format,
    writer: AnyWriter,
    position: Position,
    buffer: Vec<u8>,
}

/// What comes next.
struct Position {
    /// The place of the family being written.
    place: usize,
    /// The places that there were when the exposition began.
    end: usize,
    /// The series of that family to write next; `None` while the family has written nothing.
    series: Option<Series>,
    is_finished: bool,
}

/// How families and series become bytes.
pub(super) trait Writer {
    /// Begins the family at that place: it has at least one series.
    fn begin(&mut self, out: &mut Vec<u8>, family: &Family, place: usize);

    /// Writes a series of the family that was begun; `exemplar` finds the one of a histogram's bucket.
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        family: &Family,
        series: &Series,
        exemplar: impl Fn(usize) -> Option<KeptExemplar>,
    );

    /// Ends the family that was begun.
    fn end(&mut self, _out: &mut Vec<u8>) {}

    /// Ends the exposition.
    fn finish(&mut self, _out: &mut Vec<u8>) {}
}

enum AnyWriter {
    Lines(Lines),
    #[cfg(feature = "protobuf")]
    Messages(Messages),
}

impl Exposition {
    /// Nothing.
    pub(crate) fn empty(registry: Registry, format: Format) -> Self {
        Self::new(registry, None, format)
    }

    /// The whole store, as it is.
    pub(crate) fn whole(registry: Registry, format: Format) -> Self {
        Self::new(registry, Some(View::Whole), format)
    }

    /// What belongs to one registered tenant of that store; empty for every other handle.
    pub(crate) fn of_tenant(registry: Registry, tenant: Tenant, format: Format) -> Self {
        // The rows of reserved tenants come first, and a handle of another registry stands for one of them.
        let is_registered = tenant.row(registry.tenants().number()) >= TenantRegistry::RESERVED;
        Self::new(registry, is_registered.then_some(View::Tenant(tenant)), format)
    }

    fn new(registry: Registry, view: Option<View>, format: Format) -> Self {
        let families = (0..).take_while(|place| registry.family_at(*place).is_some());
        let end = view.map_or(0, |_| families.count());
        let writer = match format {
            Format::Text => AnyWriter::Lines(Lines::text()),
            Format::OpenMetrics => AnyWriter::Lines(Lines::open_metrics(OpenMetrics::new(&registry))),
            #[cfg(feature = "protobuf")]
            Format::Protobuf => AnyWriter::Messages(Messages::default()),
        };
        let position = Position { place: 0, end, series: None, is_finished: false };
        Self { registry, view, format, writer, position, buffer: Vec::new() }
    }

    /// What it is written in.
    pub fn format(&self) -> Format {
        self.format
    }
}

impl Position {
    /// Writes until `out` holds a chunk, or to the end.
    fn fill(&mut self, out: &mut Vec<u8>, writer: &mut impl Writer, registry: &Registry, view: Option<View>) {
        while out.len() < CHUNK && !self.is_finished {
            let family = registry.family_at(self.place).filter(|_| self.place < self.end);
            let (Some(family), Some(view)) = (family, view) else {
                writer.finish(out);
                self.is_finished = true;
                return;
            };
            self.fill_from(out, writer, family, view);
        }
    }

    /// Writes series of one family, until `out` holds a chunk or there are no more.
    fn fill_from(&mut self, out: &mut Vec<u8>, writer: &mut impl Writer, family: &Family, view: View) {
        let mut is_first = self.series.is_none();
        let series = self.series.get_or_insert_with(Series::default);
        while family.read(view, series) {
            if is_first {
                writer.begin(out, family, self.place);
                is_first = false;
            }
            writer.write(out, family, series, |bucket| family.exemplar(series, bucket));
            series.advance();
            if out.len() >= CHUNK {
                return;
            }
        }
        if !is_first {
            writer.end(out);
        }
        self.series = None;
        self.place += 1;
    }
}

impl Iterator for Exposition {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let Self { registry, view, writer, position, buffer, .. } = self;
        if position.is_finished {
            return None;
        }
        // At first here: an exposition that nobody begins to read takes nothing.
        buffer.reserve(CHUNK + SLACK);
        match writer {
            AnyWriter::Lines(lines) => position.fill(buffer, lines, registry, *view),
            #[cfg(feature = "protobuf")]
            AnyWriter::Messages(messages) => position.fill(buffer, messages, registry, *view),
        }
        if buffer.is_empty() {
            return None;
        }
        Some(std::mem::take(buffer).into())
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Exposition")
            .field("format", &self.format)
            .field("family", &self.position.place)
            .finish_non_exhaustive()
    }
}
