//! Pages, as the browsers that show them see them. The names of the vitals are those of the W3C's Web Performance group.

use super::{Descriptor, Unit};
use crate::tenant::Detail;

/// When the largest piece of a page was there.
pub const SAAS_BROWSER_LARGEST_CONTENTFUL_PAINT: Descriptor = Descriptor::histogram(
    "saas.browser.largest_contentful_paint",
    Unit::Seconds,
    &[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0],
    "Time from the start of a page view to its largest contentful paint.",
)
.labels(&["http.route"]);

/// How long a page took to answer its user.
pub const SAAS_BROWSER_INTERACTION_TO_NEXT_PAINT: Descriptor = Descriptor::histogram(
    "saas.browser.interaction_to_next_paint",
    Unit::Seconds,
    &[0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0],
    "Time from an interaction to the next paint: the slowest of a page view, one in fifty left out.",
)
.labels(&["http.route"]);

/// How much of a page moved by itself.
pub const SAAS_BROWSER_CUMULATIVE_LAYOUT_SHIFT: Descriptor = Descriptor::histogram(
    "saas.browser.cumulative_layout_shift",
    Unit::Ratio,
    &[0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0],
    "Largest burst of unexpected layout shifts of a page view.",
)
.labels(&["http.route"]);

/// How a tenant's page views are rated.
pub const SAAS_TENANT_WEB_VITALS: Descriptor = Descriptor::counter(
    "saas.tenant.web_vitals",
    Unit::Count("{page_view}"),
    "A tenant's page views by vital and its rating.",
)
.labels(&["vital", "rating"])
.per_tenant()
.detail(Detail::Summary);

/// Errors in scripts.
pub const SAAS_TENANT_SCRIPT_ERRORS: Descriptor = Descriptor::counter(
    "saas.tenant.script_errors",
    Unit::Count("{error}"),
    "Errors that scripts of a tenant's pages did not handle.",
)
.labels(&["kind"])
.per_tenant()
.detail(Detail::Summary);
