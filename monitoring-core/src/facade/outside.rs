//! The recorder that the application runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Recorder;

use super::FacadeRecorder;

/// The recorder that everything goes to in place of an exposition.
#[derive(Clone)]
pub(crate) enum OutsideRecorder {
    /// The one of the process, whichever that is.
    Global(Arc<Global>),
    /// This one.
    Given(Arc<dyn Recorder + Send + Sync>),
}

/// What is known of the global recorder.
#[derive(Debug, Default)]
pub(crate) struct Global {
    /// Where it is, which never changes; zero until that is known.
    address: AtomicUsize,
}

/// How long a handle is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// For ever.
    Always,
    /// For one record. The recorder has no state: most likely there is none, and its handles do nothing.
    Stateless,
    /// For one record. The recorder has state, but may be there for this thread only, or is not known yet.
    Passing,
}

impl OutsideRecorder {
    pub(super) fn global() -> Self {
        Self::Global(Arc::default())
    }

    /// Asks the recorder for something, told how long that will last; `None` if it is our own.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&dyn Recorder, Lasting) -> T) -> Option<T> {
        match self {
            Self::Given(recorder) => Some(ask(recorder, Lasting::Always)),
            Self::Global(_) if self.is_ours() => None,
            Self::Global(global) => metrics::with_recorder(|recorder| {
                let lasting = match address(recorder) {
                    None => Lasting::Stateless,
                    Some(address) if address == global.address.load(Ordering::Relaxed) => Lasting::Always,
                    Some(_) => Lasting::Passing,
                };
                Some(ask(recorder, lasting))
            }),
        }
    }

    /// Finds out which recorder is the global one, if there is one by now. To be called on a thread that has no recorder of
    /// its own.
    pub(super) fn look(&self) {
        if let Self::Global(global) = self
            && let Some(address) = metrics::with_recorder(address)
        {
            global.address.store(address, Ordering::Relaxed);
        }
    }

    /// Whether it is the recorder of a monitoring: what came out of the store would go into one again.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Global(_)) && FacadeRecorder::is_global()
    }

    /// Whether nothing is known that what is recorded could go to.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Given(_) => false,
            Self::Global(global) => self.is_ours() || global.address.load(Ordering::Relaxed) == 0,
        }
    }
}

/// Where a recorder is; `None` if it takes no room. That is how the one looks that the facade has while there is no other.
fn address(recorder: &dyn Recorder) -> Option<usize> {
    (size_of_val(recorder) > 0).then(|| std::ptr::from_ref(recorder).cast::<()>().addr())
}

impl fmt::Debug for OutsideRecorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global(global) => formatter.debug_tuple("Global").field(global).finish(),
            Self::Given(_) => formatter.debug_struct("Given").finish_non_exhaustive(),
        }
    }
}
