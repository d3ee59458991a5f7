//! All that is logged.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Every event and span, of whatever level, with its fields in full: those of our crates, and apart from them those of all
/// others.
#[derive(Clone, Default)]
pub(crate) struct Log {
    ours: Arc<Mutex<String>>,
    theirs: Arc<Mutex<String>>,
}

impl Log {
    pub(crate) fn ours(&self) -> String {
        self.ours.lock().unwrap().clone()
    }

    pub(crate) fn theirs(&self) -> String {
        self.theirs.lock().unwrap().clone()
    }

    fn line(&self, metadata: &Metadata<'_>, fields: impl FnOnce(&mut Fields)) {
        let mut line = Fields(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()));
        fields(&mut line);
        let text = if metadata.target().starts_with("monitoring") { &self.ours } else { &self.theirs };
        *text.lock().unwrap() += &(line.0 + "\n");
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _id: &Id, _context: Context<'_, S>) {
        self.line(attributes.metadata(), |fields| attributes.record(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.line(context.metadata(id).unwrap(), |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.line(event.metadata(), |fields| event.record(fields));
    }
}
