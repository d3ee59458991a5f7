//! Examples of what was measured: the trace that a value came from.

use std::fmt;
use std::sync::{Mutex, OnceLock, TryLockError};
use std::time::SystemTime;

use super::budget::Bytes;

/// A span that is kept, as the example of a value recorded within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace's id, W3C byte order.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
}

/// An exemplar with its value in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeptExemplar {
    pub(crate) exemplar: Exemplar,
    pub(crate) value: f64,
    pub(crate) time: SystemTime,
}

/// Where the exemplar of a value recorded now comes from.
#[derive(Default)]
pub(super) struct ExemplarSource(OnceLock<Box<dyn Fn() -> Option<Exemplar> + Send + Sync>>);

impl ExemplarSource {
    /// Whether `source` was set: the first one stays.
    pub(super) fn set(&self, source: Box<dyn Fn() -> Option<Exemplar> + Send + Sync>) -> bool {
        self.0.set(source).is_ok()
    }

    #[inline]
    pub(super) fn current(&self) -> Option<Exemplar> {
        self.0.get().and_then(|source| source())
    }
}

impl fmt::Debug for ExemplarSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ExemplarSource").field(&self.0.get().is_some()).finish()
    }
}

/// The exemplars of a family that are kept at a time: about 80 bytes each.
const SLOTS: usize = 1_024;

/// The last exemplars of a family. Each bucket of each series has a place, which it may share with others: the last one
/// stays.
#[derive(Debug, Default)]
pub(super) struct Exemplars(OnceLock<Box<[Slot]>>);

type Slot = Mutex<Option<(Place, KeptExemplar)>>;

/// The bucket of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) row: u32,
    pub(super) combination: u32,
    pub(super) bucket: usize,
}

impl Exemplars {
    /// Keeps an exemplar, unless another thread is using its place at this moment.
    pub(super) fn keep(&self, place: Place, exemplar: Exemplar, value: f64, bytes: &Bytes) {
        let slots = self.0.get_or_init(|| {
            // Without bytes there is no place.
            let slots = if bytes.take(0, SLOTS * size_of::<Slot>()) { SLOTS } else { 0 };
            (0..slots).map(|_| Mutex::new(None)).collect()
        });
        let Some(slot) = slots.get(slot(place)) else { return };
        let mut slot = match slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        *slot = Some((place, KeptExemplar { exemplar, value, time: SystemTime::now() }));
    }

    /// The exemplar of exactly that place.
    pub(super) fn get(&self, place: Place) -> Option<KeptExemplar> {
        let slot = self.0.get()?.get(slot(place))?.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (*slot).filter(|(kept, _)| *kept == place).map(|(_, exemplar)| exemplar)
    }

    /// The memory taken.
    pub(super) fn bytes(&self) -> usize {
        self.0.get().map_or(0, |slots| size_of_val(&**slots))
    }
}

fn slot(place: Place) -> usize {
    let Place { row, combination, bucket } = place;
    let hash = (u64::from(row) << 32 | u64::from(combination) << 8 | bucket as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (u64::BITS - SLOTS.ilog2())) as usize
}
