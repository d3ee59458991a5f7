//! Values that were not recorded.

use std::sync::atomic::{AtomicU64, Ordering};

use monitoring_macros::LabelValue;

/// Why a value was not recorded: the label `reason` of `monitoring_rejected_samples_total`.
#[derive(Clone, Copy, Debug, LabelValue)]
pub(crate) enum RejectedReason {
    /// NaN or an infinity.
    NotFinite,
    /// Less than nothing, in a histogram.
    #[cfg(feature = "metrics")]
    Negative,
    /// What would take a counter or a sum past the highest number that there is.
    Overflow,
    /// A name that the `metrics` facade was given belongs to a metric of another kind.
    #[cfg(feature = "metrics")]
    NameClash,
    /// The facade was given more different names than the store keeps.
    #[cfg(feature = "metrics")]
    TooManyNames,
}

#[derive(Debug, Default)]
pub(crate) struct Rejected {
    not_finite: AtomicU64,
    #[cfg(feature = "metrics")]
    negative: AtomicU64,
    overflow: AtomicU64,
    #[cfg(feature = "metrics")]
    name_clash: AtomicU64,
    #[cfg(feature = "metrics")]
    too_many_names: AtomicU64,
}

impl Rejected {
    pub(crate) fn add(&self, reason: RejectedReason) {
        self.count(reason).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, reason: RejectedReason) -> &AtomicU64 {
        match reason {
            RejectedReason::NotFinite => &self.not_finite,
            #[cfg(feature = "metrics")]
            RejectedReason::Negative => &self.negative,
            RejectedReason::Overflow => &self.overflow,
            #[cfg(feature = "metrics")]
            RejectedReason::NameClash => &self.name_clash,
            #[cfg(feature = "metrics")]
            RejectedReason::TooManyNames => &self.too_many_names,
        }
    }

    pub(super) const REASONS: &'static [RejectedReason] = &[
        RejectedReason::NotFinite,
        #[cfg(feature = "metrics")]
        RejectedReason::Negative,
        RejectedReason::Overflow,
        #[cfg(feature = "metrics")]
        RejectedReason::NameClash,
        #[cfg(feature = "metrics")]
        RejectedReason::TooManyNames,
    ];
}
