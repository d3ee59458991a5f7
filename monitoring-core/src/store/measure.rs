//! What can be measured, and how it is kept as a whole number.

use std::time::Duration;

use crate::catalogue::Unit;

/// How the whole numbers in the cells become values in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// They are the values.
    One,
    /// They are billionths of the values: nanoseconds of seconds, or of a score.
    Billionths,
    /// They are the bits of a floating-point number.
    Float,
}

impl Scale {
    /// A whole number as it is kept in cells, in the metric's unit.
    pub(super) fn value(self, raw: u64) -> f64 {
        match self {
            Self::One => raw as f64,
            Self::Billionths => raw as f64 / 1e9,
            Self::Float => f64::from_bits(raw),
        }
    }

    /// A bound in the metric's unit, as it is kept in cells.
    pub(crate) fn bound(self, bound: f64) -> u64 {
        match self {
            // What is at most 2.5 is at most 2.
            Self::One => bound.floor() as u64,
            Self::Billionths => (bound * 1e9).round() as u64,
            Self::Float => bound.to_bits(),
        }
    }
}

/// A value that a counter or a histogram takes: `u64`; `Duration`, which is kept to the nanosecond and read in seconds; or
/// [`Score`]. Sealed: there is nothing to implement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be counted exactly",
    note = "a counter or a histogram takes a `Duration`, a `u64` for bytes and numbers of things, or a `Score`"
)]
pub trait Measure: Copy + Send + Sync + 'static + sealed::Sealed {}

impl Measure for u64 {}
impl Measure for Duration {}
impl Measure for Score {}

/// A number without a unit, such as a share, or a score that is no share: from 0 to 1.8e10, kept to the billionth.
///
/// ```
/// use monitoring_core::Score;
///
/// assert!(Score::new(0.25).is_some());
/// assert!(Score::new(-0.25).is_none() && Score::new(f64::NAN).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    billionths: u64,
}

impl Score {
    /// The number as a score; `None` if it is negative, too large, or none at all.
    pub fn new(value: f64) -> Option<Self> {
        let billionths = (value * 1e9).round();
        (0.0..1.8e19).contains(&billionths).then_some(Self { billionths: billionths as u64 })
    }
}

pub(super) mod sealed {
    use super::{Duration, Scale, Score, Unit};

    pub trait Sealed {
        const SCALE: Scale;
        fn fits(unit: Unit) -> bool;
        fn raw(self) -> u64;
    }

    impl Sealed for u64 {
        const SCALE: Scale = Scale::One;

        fn fits(unit: Unit) -> bool {
            matches!(unit, Unit::Count(_) | Unit::Bytes)
        }

        #[inline]
        fn raw(self) -> u64 {
            self
        }
    }

    impl Sealed for Duration {
        const SCALE: Scale = Scale::Billionths;

        fn fits(unit: Unit) -> bool {
            unit == Unit::Seconds
        }

        /// Saturates after 584 years.
        #[inline]
        fn raw(self) -> u64 {
            self.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(self.subsec_nanos()))
        }
    }

    impl Sealed for Score {
        const SCALE: Scale = Scale::Billionths;

        fn fits(unit: Unit) -> bool {
            unit == Unit::Ratio
        }

        #[inline]
        fn raw(self) -> u64 {
            self.billionths
        }
    }
}
