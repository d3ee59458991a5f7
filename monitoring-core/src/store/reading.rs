//! How the words of a cell are read.

use super::exponential::Grid;
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
    /// The sum, then a word for each bucket, then `+Inf`: the lower buckets share a cache line with the sum. After them the
    /// exponential buckets, if there are any.
    Histogram {
        /// The upper bounds in the metric's unit, as text.
        texts: Box<[Box<str>]>,
        /// The upper bounds as they are kept in cells.
        bounds: Box<[u64]>,
        /// How the sum is read.
        scale: Scale,
        /// Where the exponential buckets are.
        exponential: Option<Grid>,
    },
}

impl Reading {
    pub(crate) fn histogram(buckets: &[f64], scale: Scale, is_exponential: bool) -> Self {
        Self::Histogram {
            texts: buckets.iter().map(|bound| bound.to_string().into()).collect(),
            bounds: buckets.iter().map(|bound| scale.bound(*bound)).collect(),
            scale,
            // What the facade records may be negative, which such buckets cannot count.
            exponential: (is_exponential && scale != Scale::Float).then(|| Grid::new(scale)),
        }
    }

    /// The words of a cell, its exponential buckets left out.
    pub(super) fn explicit_words(&self) -> usize {
        match self {
            Self::Histogram { bounds, .. } => bounds.len() + 2,
            Self::Counter(_) | Self::UpDownCounter | Self::Gauge => 1,
        }
    }

    /// The words of a cell.
    pub(super) fn words(&self) -> usize {
        self.explicit_words() + self.grid().map_or(0, |grid| grid.words())
    }

    pub(super) fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Histogram { exponential, .. } => exponential.as_ref(),
            Self::Counter(_) | Self::UpDownCounter | Self::Gauge => None,
        }
    }

    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::Histogram { .. } => Layout::Cell { words: self.words() },
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
