//! How the words of a cell are read.

use super::measure::Scale;
use super::table::Layout;
use crate::catalogue::Kind;

/// The value of a gauge that is not shown.
pub(super) const CLEARED: f64 = f64::NAN;

/// How the words of a cell are read.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    /// One word that only grows.
    Counter(Scale),
    /// One word, a signed sum.
    UpDownCounter,
    /// One word, the bits of a floating-point number.
    Gauge,
    /// The sum, then a word for each bucket, then `+Inf`: the lower buckets share a cache line with the sum.
    Histogram {
        /// The upper bounds in the metric's unit, as text.
        texts: Box<[Box<str>]>,
        /// The upper bounds as they are kept in cells.
        bounds: Box<[u64]>,
        /// How the sum is read.
        scale: Scale,
    },
}

impl Reading {
    pub(crate) fn histogram(buckets: &[f64], scale: Scale) -> Self {
        Self::Histogram {
            texts: buckets.iter().map(|bound| bound.to_string().into()).collect(),
            bounds: buckets.iter().map(|bound| scale.bound(*bound)).collect(),
            scale,
        }
    }

    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::Histogram { bounds, .. } => Layout::Cell { words: bounds.len() + 2 },
            Self::Counter(_) | Self::UpDownCounter => Layout::Counters { initial: 0 },
            // Not shown before it is set.
            Self::Gauge => Layout::Counters { initial: CLEARED.to_bits() },
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::UpDownCounter => Kind::UpDownCounter,
            Self::Gauge => Kind::Gauge,
            Self::Histogram { .. } => Kind::Histogram,
        }
    }
}
