//! Where families are registered, and found again.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use monitoring_macros::{LabelSet, LabelValue};

use super::measure::Measure;
use super::{
    Counter, Family, Gauge, Histogram, LabelSet, Reading, RegistryError, Symbol, Symbols, TenantCounter, TenantGauge,
    TenantHistogram, UpDownCounter,
};
use crate::catalogue::{self, Descriptor, Kind};
use crate::tenant::TenantRegistry;

/// How many series there may be.
///
/// ```
/// use monitoring_core::SeriesLimits;
///
/// let limits = SeriesLimits::default().per_family(20_000).per_tenant(200);
/// ```
///
/// What comes after the last one allowed is not lost: a tenant's record goes to the series of `__other__`, a
/// combination of labels to the series with `otel_metric_overflow="true"`, and `monitoring_series_overflow_total` counts
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    pub(crate) per_family: usize,
    pub(crate) per_tenant: usize,
    pub(crate) combinations: u32,
}

impl SeriesLimits {
    /// Series of one per-tenant family. Default 100 000.
    ///
    /// Every registered tenant has its share of half as many more, and at least one, whatever others have used up; the
    /// three reserved tenants have all their series. These come on top.
    #[must_use]
    pub const fn per_family(mut self, series: usize) -> Self {
        self.per_family = series;
        self
    }

    /// Series of one tenant in one family. Default 1 000.
    #[must_use]
    pub const fn per_tenant(mut self, series: usize) -> Self {
        self.per_tenant = series;
        self
    }

    /// Combinations of label values in one family, the tenant left out. Default 16 384, at most 1 048 576.
    #[must_use]
    pub const fn combinations(mut self, combinations: u32) -> Self {
        self.combinations = combinations;
        self
    }
}

impl Default for SeriesLimits {
    fn default() -> Self {
        Self { per_family: 100_000, per_tenant: 1_000, combinations: 16_384 }
    }
}

/// The metric store: all families of one [`Monitoring`](crate::Monitoring). A clone is another handle to the same store.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: TenantRegistry,
    symbols: Arc<Symbols>,
    limits: SeriesLimits,
    stripes: u32,
    families: boxcar::Vec<Arc<Family>>,
    names: Mutex<HashMap<Box<str>, Registered>>,
    collectors: Mutex<Vec<Collector>>,
    rejected: Arc<Rejected>,
    collect_failures: AtomicU64,
    /// The families about the store itself; `None` only while the registry is being made.
    own: Option<OwnFamilies>,
}

type Collector = Arc<dyn Fn() -> Collect + Send + Sync>;

/// A family under its name: its types, and who registered it.
struct Registered {
    family: Arc<Family>,
    types: Option<TypeId>,
    place: &'static Location<'static>,
}

/// The combinations of the families about the store itself, whatever its limits: one for each family there can be.
const OWN_COMBINATIONS: u32 = 4_096;

/// The labels that the store itself writes.
const RESERVED_LABELS: &[&str] = &["tenant", "le", "otel_metric_overflow"];

/// What becomes of a collector after it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// It runs again before the next scrape.
    Keep,
    /// It is removed: what it looked at is gone.
    Remove,
}

/// Why a value was not recorded: the label `reason` of `monitoring_rejected_samples_total`.
#[derive(Clone, Copy, Debug, LabelValue)]
pub(crate) enum RejectedReason {
    /// NaN or an infinity.
    NotFinite,
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
    name_clash: AtomicU64,
    #[cfg(feature = "metrics")]
    too_many_names: AtomicU64,
}

impl Rejected {
    pub(crate) fn add(&self, reason: RejectedReason) {
        self.count(reason).fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, reason: RejectedReason) -> &AtomicU64 {
        match reason {
            RejectedReason::NotFinite => &self.not_finite,
            #[cfg(feature = "metrics")]
            RejectedReason::NameClash => &self.name_clash,
            #[cfg(feature = "metrics")]
            RejectedReason::TooManyNames => &self.too_many_names,
        }
    }

    const REASONS: &'static [RejectedReason] = &[
        RejectedReason::NotFinite,
        #[cfg(feature = "metrics")]
        RejectedReason::NameClash,
        #[cfg(feature = "metrics")]
        RejectedReason::TooManyNames,
    ];
}

#[derive(Clone, Copy, LabelSet)]
struct FamilyLabels {
    family: Symbol,
}

#[derive(Clone, Copy, LabelSet)]
struct RejectedLabels {
    reason: RejectedReason,
}

#[derive(Clone)]
struct OwnFamilies {
    series: Gauge<FamilyLabels>,
    bytes: Gauge<FamilyLabels>,
    overflow: Counter<FamilyLabels>,
    rejected: Counter<RejectedLabels>,
    collect_failures: Counter<()>,
    tenants: Gauge<()>,
    tenants_refused: Counter<()>,
}

/// Defines the methods that register one sort of family.
macro_rules! register {
    ($($(#[$doc:meta])* $method:ident: $handle:ident<L $(, $measure:ident)?> is $kind:ident, $per_tenant:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Registering a descriptor again with the same types gives the same family.
        ///
        /// # Errors
        /// When the name is taken by a different metric, or when the types do not fit the descriptor.
        #[track_caller]
        pub fn $method<L: LabelSet $(, $measure: Measure)?>(
            &self,
            descriptor: &Descriptor,
        ) -> Result<$handle<L $(, $measure)?>, RegistryError> {
            check_labels::<L>(descriptor)?;
            check_buckets(descriptor)?;
            register!(@measure descriptor $(, $measure)?);
            let family = self.family(
                descriptor,
                (Kind::$kind, $per_tenant),
                register!(@reading $kind descriptor $(, $measure)?),
                TypeId::of::<(L, $($measure,)?)>(),
                Location::caller(),
            )?;
            Ok($handle::new(family, Arc::clone(&self.inner.symbols)))
        }
    )*};
    (@measure $descriptor:ident) => {};
    (@measure $descriptor:ident, $measure:ident) => { check_measure::<$measure>($descriptor)?; };
    (@reading Counter $descriptor:ident, $measure:ident) => { Reading::Counter($measure::SCALE) };
    (@reading UpDownCounter $descriptor:ident) => { Reading::UpDownCounter };
    (@reading Gauge $descriptor:ident) => { Reading::Gauge };
    (@reading Histogram $descriptor:ident, $measure:ident) => {
        Reading::histogram($descriptor.buckets(), $measure::SCALE)
    };
}

impl Registry {
    register! {
        /// A counter of the whole platform.
        counter: Counter<L, V> is Counter, false;
        /// A counter with a series for each tenant.
        tenant_counter: TenantCounter<L, V> is Counter, true;
        /// An up-down counter of the whole platform.
        up_down_counter: UpDownCounter<L> is UpDownCounter, false;
        /// A gauge of the whole platform.
        gauge: Gauge<L> is Gauge, false;
        /// A gauge with a series for each tenant.
        tenant_gauge: TenantGauge<L> is Gauge, true;
        /// A histogram of the whole platform.
        histogram: Histogram<L, V> is Histogram, false;
        /// A histogram with series for each tenant.
        tenant_histogram: TenantHistogram<L, V> is Histogram, true;
    }

    pub(crate) fn new(tenants: TenantRegistry, limits: SeriesLimits) -> Result<Self, RegistryError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let inner = Inner {
            tenants,
            symbols: Arc::new(Symbols::new()),
            limits,
            stripes: cores.next_power_of_two().min(16) as u32,
            families: boxcar::Vec::new(),
            names: Mutex::default(),
            collectors: Mutex::default(),
            rejected: Arc::default(),
            collect_failures: AtomicU64::new(0),
            own: None,
        };
        let mut registry = Self { inner: Arc::new(inner) };
        let own = OwnFamilies {
            series: registry.gauge(&catalogue::MONITORING_SERIES)?,
            bytes: registry.gauge(&catalogue::MONITORING_SERIES_BYTES)?,
            overflow: registry.counter(&catalogue::MONITORING_SERIES_OVERFLOW)?,
            rejected: registry.counter(&catalogue::MONITORING_REJECTED_SAMPLES)?,
            collect_failures: registry.counter(&catalogue::MONITORING_COLLECT_FAILURES)?,
            tenants: registry.gauge(&catalogue::MONITORING_TENANTS)?,
            tenants_refused: registry.counter(&catalogue::MONITORING_TENANTS_REFUSED)?,
        };
        if let Some(inner) = Arc::get_mut(&mut registry.inner) {
            inner.own = Some(own);
        }
        Ok(registry)
    }

    /// The tenants whose series the store keeps: those of its [`Monitoring`](crate::Monitoring).
    pub fn tenants(&self) -> &TenantRegistry {
        &self.inner.tenants
    }

    /// The symbol of a text, for a label whose values are not known when compiling: at most 65 536 different ones, then
    /// [`Symbol::OTHER`]. A text that was seen before costs one hash of it, no lock and no allocation.
    ///
    /// For texts that come from the program, such as route templates; never for what a user sends.
    pub fn symbol(&self, text: &str) -> Symbol {
        self.inner.symbols.intern(text)
    }

    /// Runs `collector` before each scrape, to set gauges from what it looks at. Keep it short, and let it hold a weak
    /// reference. A panic in it is caught and counted in `monitoring_collect_failures_total`.
    pub fn on_collect(&self, collector: impl Fn() -> Collect + Send + Sync + 'static) {
        self.collectors().push(Arc::new(collector));
    }

    /// Brings what is collected up to date.
    pub(crate) fn collect(&self) {
        // They run outside of the lock: a collector may register another one.
        let collectors = self.collectors().clone();
        for collector in collectors {
            let outcome = catch_unwind(AssertUnwindSafe(|| collector())).unwrap_or_else(|_panic| {
                self.inner.collect_failures.fetch_add(1, Ordering::Relaxed);
                Collect::Keep
            });
            if outcome == Collect::Remove {
                self.collectors().retain(|kept| !Arc::ptr_eq(kept, &collector));
            }
        }
        self.collect_own();
    }

    fn collect_own(&self) {
        let Some(own) = &self.inner.own else { return };
        for (_, family) in &self.inner.families {
            let labels = FamilyLabels { family: self.symbol(family.name()) };
            own.series.set(labels, family.series() as f64);
            own.bytes.set(labels, family.bytes() as f64);
            own.overflow.raise_to(labels, family.overflow());
        }
        for &reason in Rejected::REASONS {
            let total = self.inner.rejected.count(reason).load(Ordering::Relaxed);
            own.rejected.raise_to(RejectedLabels { reason }, total);
        }
        own.tenants.set((), self.inner.tenants.len() as f64);
        own.tenants_refused.raise_to((), self.inner.tenants.refused());
        own.collect_failures.raise_to((), self.inner.collect_failures.load(Ordering::Relaxed));
    }

    /// The family at that place, in the order of registration.
    pub(crate) fn family_at(&self, place: usize) -> Option<&Family> {
        self.inner.families.get(place).map(Arc::as_ref)
    }

    fn collectors(&self) -> std::sync::MutexGuard<'_, Vec<Collector>> {
        self.inner.collectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(
        &self,
        descriptor: &Descriptor,
        sort: (Kind, bool),
        reading: Reading,
        types: TypeId,
        place: &'static Location<'static>,
    ) -> Result<Arc<Family>, RegistryError> {
        let name = descriptor.name();
        if sort != (descriptor.kind(), descriptor.is_per_tenant()) {
            return Err(RegistryError::Sort {
                name,
                kind: descriptor.kind(),
                tenancy: if descriptor.is_per_tenant() { "for each tenant" } else { "for the whole platform" },
            });
        }
        let inner = &self.inner;
        let prometheus_name = descriptor.prometheus_name();
        let mut names = inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = taken(&names, &prometheus_name, descriptor.kind()) {
            let family = &registered.family;
            let same = family.name() == prometheus_name && registered.types == Some(types);
            if same && *family.reading() == reading && family.is_per_tenant() == descriptor.is_per_tenant() {
                return Ok(Arc::clone(family));
            }
            return Err(RegistryError::Clash { name: prometheus_name, first: registered.place, second: place });
        }
        let rejected = Arc::clone(&inner.rejected);
        let family = Arc::new(if descriptor.is_per_tenant() {
            Family::of_tenants(prometheus_name.clone(), reading, &inner.tenants, inner.limits, rejected)
        } else {
            let combinations = if inner.own.is_some() { inner.limits.combinations } else { OWN_COMBINATIONS };
            Family::of_platform(prometheus_name.clone(), reading, combinations, inner.stripes, rejected)
        });
        family.describe(descriptor.help());
        inner.families.push(Arc::clone(&family));
        names.insert(prometheus_name.into(), Registered { family: Arc::clone(&family), types: Some(types), place });
        Ok(family)
    }
}

/// What the `metrics` facade needs: families and series by name.
#[cfg(feature = "metrics")]
pub(crate) trait Dynamic {
    /// The family with that name and kind, made if need be; `None`, and counted, when it cannot be had.
    fn dynamic(&self, name: &str, kind: Kind) -> Option<Arc<Family>>;

    /// The tenant label that stands for `id`.
    fn tenant_label<'a>(&'a self, id: &'a str) -> &'a str;

    /// Explains the family with that name, if the facade made it.
    fn describe_dynamic(&self, name: &str, help: &str);
}

/// The names that the `metrics` facade can make.
#[cfg(feature = "metrics")]
const MAX_DYNAMIC: usize = 1_000;

/// The bounds of a histogram that the facade makes: those of the Prometheus client libraries.
#[cfg(feature = "metrics")]
const DYNAMIC_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[cfg(feature = "metrics")]
impl Dynamic for Registry {
    #[track_caller]
    fn dynamic(&self, name: &str, kind: Kind) -> Option<Arc<Family>> {
        use super::measure::Scale;

        let inner = &self.inner;
        let mut names = inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = taken(&names, name, kind) {
            let is_same = registered.family.name() == name && registered.family.reading().kind() == kind;
            if is_same && registered.types.is_none() {
                return Some(Arc::clone(&registered.family));
            }
            inner.rejected.add(RejectedReason::NameClash);
            return None;
        }
        if names.values().filter(|registered| registered.types.is_none()).count() >= MAX_DYNAMIC {
            inner.rejected.add(RejectedReason::TooManyNames);
            return None;
        }
        let reading = match kind {
            Kind::Counter => Reading::Counter(Scale::One),
            Kind::UpDownCounter | Kind::Gauge => Reading::Gauge,
            Kind::Histogram => Reading::histogram(DYNAMIC_BUCKETS, Scale::Float),
        };
        let rejected = Arc::clone(&inner.rejected);
        let family = Arc::new(Family::of_platform(name.to_owned(), reading, inner.limits.combinations, 1, rejected));
        inner.families.push(Arc::clone(&family));
        let registered = Registered { family: Arc::clone(&family), types: None, place: Location::caller() };
        names.insert(name.into(), registered);
        Some(family)
    }

    fn tenant_label<'a>(&'a self, id: &'a str) -> &'a str {
        match id {
            "__none__" | "__other__" => id,
            _ => self.inner.tenants.id(self.inner.tenants.lookup(id)),
        }
    }

    fn describe_dynamic(&self, name: &str, help: &str) {
        let names = self.inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = names.get(name).filter(|registered| registered.types.is_none()) {
            registered.family.describe(help);
        }
    }
}

/// Who has the name that a metric of that kind would have, be it for a line of a histogram.
fn taken<'a>(names: &'a HashMap<Box<str>, Registered>, name: &str, kind: Kind) -> Option<&'a Registered> {
    const LINES: [&str; 3] = ["_bucket", "_sum", "_count"];

    let histogram = || {
        let named = LINES.iter().filter_map(|line| names.get(name.strip_suffix(line)?));
        named.into_iter().find(|registered| registered.family.reading().kind() == Kind::Histogram)
    };
    let line = || match kind {
        Kind::Histogram => LINES.iter().find_map(|line| names.get(format!("{name}{line}").as_str())),
        _ => None,
    };
    names.get(name).or_else(histogram).or_else(line)
}

fn check_labels<L: LabelSet>(descriptor: &Descriptor) -> Result<(), RegistryError> {
    let expected: Vec<_> = descriptor.label_names().iter().map(|name| catalogue::prometheus_label(name)).collect();
    if expected != L::NAMES {
        return Err(RegistryError::Labels { name: descriptor.name(), expected, found: L::NAMES });
    }
    match L::NAMES.iter().find(|label| RESERVED_LABELS.contains(label)) {
        Some(label) => Err(RegistryError::ReservedLabel { name: descriptor.name(), label }),
        None => Ok(()),
    }
}

fn check_buckets(descriptor: &Descriptor) -> Result<(), RegistryError> {
    let buckets = descriptor.buckets();
    let are_bounds = buckets.iter().all(|bound| bound.is_finite() && *bound >= 0.0);
    if are_bounds && buckets.is_sorted_by(|lower, upper| lower < upper) {
        return Ok(());
    }
    Err(RegistryError::Buckets { name: descriptor.name() })
}

fn check_measure<V: Measure>(descriptor: &Descriptor) -> Result<(), RegistryError> {
    if V::fits(descriptor.unit()) {
        return Ok(());
    }
    Err(RegistryError::Unit { name: descriptor.name(), unit: descriptor.unit() })
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("families", &self.inner.families.count()).finish_non_exhaustive()
    }
}
