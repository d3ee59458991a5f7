//! A `tracing` subscriber that records nothing, for the thread that exports.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber};
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

/// Records nothing, and wants what the application's subscriber wants: `tracing` asks once for each place in the code that
/// traces, and remembers the answer for the whole process. Were it asked on this thread first and said no, the application
/// would not see what its own HTTP clients trace.
pub(super) struct Quiet(Dispatch);

impl Quiet {
    /// In place of the process's subscriber; `None` while there is none.
    pub(super) fn of_the_process() -> Option<Dispatch> {
        let of_the_process = dispatcher::get_default(Dispatch::clone);
        (!of_the_process.is::<NoSubscriber>()).then(|| Dispatch::new(Self(of_the_process)))
    }
}

impl Subscriber for Quiet {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
