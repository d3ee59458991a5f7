//! Where families are registered, and found again. What the `metrics` facade needs of it is in `dynamic.rs`.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use super::collection::{Collect, Collector, OwnFamilies, Sweeps};
use super::exemplar::Exemplar;
use super::family::Shared;
use super::measure::Measure;
use super::single_flight::SingleFlight;
use super::{
    CardinalityBudget, Counter, Family, Gauge, Histogram, LabelSet, Reading, RegistryError, Symbol, Symbols,
    TenantCounter, TenantGauge, TenantHistogram, UpDownCounter,
};
use crate::catalogue::{self, Descriptor, Kind};
#[cfg(feature = "metrics")]
use crate::facade::OutsideRecorder;
use crate::tenant::TenantRegistry;

/// The metric store: all families of one [`Monitoring`](crate::Monitoring). A clone is another handle to the same store.
#[derive(Clone)]
pub struct Registry {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) tenants: TenantRegistry,
    pub(super) symbols: Arc<Symbols>,
    pub(super) budget: CardinalityBudget,
    pub(super) stripes: u32,
    pub(super) families: boxcar::Vec<Arc<Family>>,
    pub(super) names: Mutex<HashMap<Box<str>, Registered>>,
    pub(super) collectors: Mutex<Vec<Collector>>,
    pub(super) collecting: SingleFlight,
    pub(super) sweeping: SingleFlight,
    pub(super) shared: Shared,
    pub(super) is_exponential: bool,
    pub(super) sweeps: Sweeps,
    pub(super) collect_failures: AtomicU64,
    /// The families about the store itself; `None` only while the registry is being made.
    pub(super) own: Option<OwnFamilies>,
}

/// A family under its name: its types, and who registered it.
pub(super) struct Registered {
    pub(super) family: Arc<Family>,
    pub(super) types: Option<TypeId>,
    pub(super) place: &'static Location<'static>,
}

/// The combinations of the families about the store itself, whatever its limits: one for each family there can be.
const OWN_COMBINATIONS: u32 = 4_096;

/// The labels that the store itself writes.
const RESERVED_LABELS: &[&str] = &["tenant", "le", "otel_metric_overflow"];

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
                register!(@reading $kind descriptor self.inner.is_exponential $(, $measure)?),
                TypeId::of::<(L, $($measure,)?)>(),
                Location::caller(),
            )?;
            Ok($handle::new(family, Arc::clone(&self.inner.symbols)))
        }
    )*};
    (@measure $descriptor:ident) => {};
    (@measure $descriptor:ident, $measure:ident) => { check_measure::<$measure>($descriptor)?; };
    (@reading Counter $descriptor:ident $exponential:expr, $measure:ident) => { Reading::Counter($measure::SCALE) };
    (@reading UpDownCounter $descriptor:ident $exponential:expr) => { Reading::UpDownCounter };
    (@reading Gauge $descriptor:ident $exponential:expr) => { Reading::Gauge };
    (@reading Histogram $descriptor:ident $exponential:expr, $measure:ident) => {
        Reading::histogram($descriptor.buckets(), $measure::SCALE, $exponential || $descriptor.is_exponential())
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

    pub(crate) fn new(
        tenants: TenantRegistry,
        budget: CardinalityBudget,
        is_exponential: bool,
    ) -> Result<Self, RegistryError> {
        Self::with(tenants, budget, is_exponential, Shared::new(budget))
    }

    /// A store whose values leave through that recorder as they are recorded.
    #[cfg(feature = "metrics")]
    pub(crate) fn recording_into(
        outside: OutsideRecorder,
        tenants: TenantRegistry,
        budget: CardinalityBudget,
        is_exponential: bool,
    ) -> Result<Self, RegistryError> {
        let shared = Shared { outside: Some(outside), ..Shared::new(budget) };
        Self::with(tenants, budget, is_exponential, shared)
    }

    fn with(
        tenants: TenantRegistry,
        budget: CardinalityBudget,
        is_exponential: bool,
        shared: Shared,
    ) -> Result<Self, RegistryError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let inner = Inner {
            tenants,
            symbols: Arc::new(Symbols::new()),
            budget,
            stripes: cores.next_power_of_two().min(16) as u32,
            families: boxcar::Vec::new(),
            names: Mutex::default(),
            collectors: Mutex::default(),
            collecting: SingleFlight::default(),
            sweeping: SingleFlight::default(),
            shared,
            is_exponential,
            sweeps: Sweeps::new(budget.idle),
            collect_failures: AtomicU64::new(0),
            own: None,
        };
        let mut registry = Self { inner: Arc::new(inner) };
        let own = OwnFamilies::register(&registry)?;
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

    /// The text of a symbol of this registry.
    pub fn symbol_text(&self, symbol: Symbol) -> &str {
        self.inner.symbols.text(symbol)
    }

    /// Runs `collector` before each scrape, to set gauges from what it looks at. Keep it short, and let it hold a weak
    /// reference. A panic in it is caught and counted in `monitoring_collect_failures_total`.
    ///
    /// Scrapes over HTTP and pushes run the collectors one after another on a thread of their own. What takes longer than
    /// they wait, 2 seconds for a scrape, is counted too; until it has ended no collector runs again.
    pub fn on_collect(&self, collector: impl Fn() -> Collect + Send + Sync + 'static) {
        self.collectors().push(Arc::new(collector));
    }

    /// Asks `source` for the span that a value of a histogram was recorded in, each time one is: give a span that is
    /// **kept**, or `None`. Such exemplars leave by OpenMetrics, protobuf and OTLP. Keep it short; it must not panic or
    /// record. `false` if there is a source already, which then stays.
    pub fn exemplars_from(&self, source: impl Fn() -> Option<Exemplar> + Send + Sync + 'static) -> bool {
        self.inner.shared.exemplars.set(Box::new(source))
    }

    /// What [`exemplars_from`](Self::exemplars_from)'s source says now: for a value that is recorded when the span is over.
    pub fn current_exemplar(&self) -> Option<Exemplar> {
        self.inner.shared.exemplars.current()
    }

    /// How many handles there are to this store.
    #[cfg(all(test, feature = "metrics"))]
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// The family at that place, in the order of registration.
    pub(crate) fn family_at(&self, place: usize) -> Option<&Family> {
        self.inner.families.get(place).map(Arc::as_ref)
    }

    pub(super) fn collectors(&self) -> std::sync::MutexGuard<'_, Vec<Collector>> {
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
        let family = Arc::new(if descriptor.is_per_tenant() {
            Family::of_tenants(
                prometheus_name.clone(),
                descriptor,
                reading,
                &inner.tenants,
                inner.budget,
                &inner.shared,
            )
        } else {
            let (combinations, shared) = match inner.own {
                Some(_) => (inner.budget.combinations, inner.shared.clone()),
                None => (OWN_COMBINATIONS, inner.shared.without_limit()),
            };
            Family::of_platform(
                prometheus_name.clone(),
                Some(descriptor),
                reading,
                combinations,
                inner.stripes,
                &shared,
            )
        });
        family.describe(descriptor.help());
        inner.families.push(Arc::clone(&family));
        names.insert(prometheus_name.into(), Registered { family: Arc::clone(&family), types: Some(types), place });
        Ok(family)
    }
}

/// Who has the name that a metric of that kind would have, be it for a line of a histogram.
pub(super) fn taken<'a>(names: &'a HashMap<Box<str>, Registered>, name: &str, kind: Kind) -> Option<&'a Registered> {
    const LINES: [&str; 4] = ["_bucket", "_sum", "_count", "_created"];

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
