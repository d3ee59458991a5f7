//! What is recorded of a report.

use std::time::Duration;

use monitoring_core::{
    DropReason, Dropped, Histogram, InstrumentSet, LabelSet, LabelValue, Registry, RegistryError, Score, Signal,
    Symbol, Tenant, TenantCounter, catalogue,
};

use super::report::Report;

#[derive(Clone, Copy, Debug, LabelSet)]
struct PageLabels {
    http_route: Symbol,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct VitalLabels {
    vital: Vital,
    rating: Rating,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ErrorLabels {
    kind: ErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
enum Vital {
    LargestContentfulPaint,
    InteractionToNextPaint,
    CumulativeLayoutShift,
}

/// How a vital is rated, by the thresholds of Google's Web Vitals programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
enum Rating {
    Good,
    NeedsImprovement,
    Poor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
enum ErrorKind {
    /// An exception that nothing caught.
    Uncaught,
    /// A promise that was rejected, which nothing handled.
    UnhandledRejection,
}

impl Rating {
    /// Good up to and including the first threshold, poor above the second.
    fn of<T: PartialOrd>(value: T, [good, poor]: [T; 2]) -> Self {
        if value <= good {
            Self::Good
        } else if value <= poor {
            Self::NeedsImprovement
        } else {
            Self::Poor
        }
    }
}

const LARGEST_CONTENTFUL_PAINT: [Duration; 2] = [Duration::from_millis(2_500), Duration::from_secs(4)];
const INTERACTION_TO_NEXT_PAINT: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(500)];
const CUMULATIVE_LAYOUT_SHIFT: [f64; 2] = [0.1, 0.25];

/// The families of what browsers report.
#[derive(Debug)]
pub(super) struct Browsers {
    largest_contentful_paint: Histogram<PageLabels>,
    interaction_to_next_paint: Histogram<PageLabels>,
    cumulative_layout_shift: Histogram<PageLabels, Score>,
    ratings: TenantCounter<VitalLabels>,
    errors: TenantCounter<ErrorLabels>,
    dropped: Dropped,
    registry: Registry,
}

impl InstrumentSet for Browsers {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            largest_contentful_paint: registry.histogram(&catalogue::SAAS_BROWSER_LARGEST_CONTENTFUL_PAINT)?,
            interaction_to_next_paint: registry.histogram(&catalogue::SAAS_BROWSER_INTERACTION_TO_NEXT_PAINT)?,
            cumulative_layout_shift: registry.histogram(&catalogue::SAAS_BROWSER_CUMULATIVE_LAYOUT_SHIFT)?,
            ratings: registry.tenant_counter(&catalogue::SAAS_TENANT_WEB_VITALS)?,
            errors: registry.tenant_counter(&catalogue::SAAS_TENANT_SCRIPT_ERRORS)?,
            dropped: Dropped::register(registry)?,
            registry: registry.clone(),
        })
    }
}

impl Browsers {
    pub(super) fn dropped(&self, reason: DropReason) {
        self.dropped.count(Signal::BrowserReports, reason, 1);
    }

    pub(super) fn record(&self, tenant: Tenant, page: &'static str, report: &Report) {
        let page = PageLabels { http_route: self.registry.symbol(page) };
        if let Some(time) = report.largest_contentful_paint {
            self.largest_contentful_paint.record(page, time);
            self.rate(tenant, Vital::LargestContentfulPaint, Rating::of(time, LARGEST_CONTENTFUL_PAINT));
        }
        if let Some(time) = report.interaction_to_next_paint {
            self.interaction_to_next_paint.record(page, time);
            self.rate(tenant, Vital::InteractionToNextPaint, Rating::of(time, INTERACTION_TO_NEXT_PAINT));
        }
        if let Some(shift) = report.cumulative_layout_shift {
            self.cumulative_layout_shift.record(page, shift);
            let thresholds = CUMULATIVE_LAYOUT_SHIFT.map(Score::new);
            self.rate(tenant, Vital::CumulativeLayoutShift, Rating::of(Some(shift), thresholds));
        }
        for (kind, errors) in
            [(ErrorKind::Uncaught, report.errors), (ErrorKind::UnhandledRejection, report.unhandled_rejections)]
        {
            if errors > 0 {
                self.errors.add(tenant, ErrorLabels { kind }, errors);
            }
        }
    }

    fn rate(&self, tenant: Tenant, vital: Vital, rating: Rating) {
        self.ratings.add(tenant, VitalLabels { vital, rating }, 1);
    }
}
