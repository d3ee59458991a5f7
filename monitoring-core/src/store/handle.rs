//! What the user of a metric holds: a family, typed by its labels and by what it measures.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::exemplar::Exemplar;
use super::measure::Measure;
use super::{Combination, Family, LabelSet, Symbols};
use crate::tenant::Tenant;

/// Defines a handle: a family, the symbols that its label texts come from, and types.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<L $(, $measure:ident = $default:ty)?>) => {
        $(#[$doc])*
        pub struct $name<L $(, $measure = $default)?> {
            family: Arc<Family>,
            symbols: Arc<Symbols>,
            types: PhantomData<fn(L $(, $measure)?)>,
        }

        impl<L: LabelSet $(, $measure)?> $name<L $(, $measure)?> {
            pub(super) fn new(family: Arc<Family>, symbols: Arc<Symbols>) -> Self {
                Self { family, symbols, types: PhantomData }
            }

            #[inline]
            fn combination(&self, labels: L) -> u32 {
                self.family.combination(labels.key(), || combination(labels, &self.symbols))
            }
        }

        impl<L $(, $measure)?> Clone for $name<L $(, $measure)?> {
            fn clone(&self) -> Self {
                Self { family: Arc::clone(&self.family), symbols: Arc::clone(&self.symbols), types: PhantomData }
            }
        }

        impl<L $(, $measure)?> fmt::Debug for $name<L $(, $measure)?> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.debug_tuple(stringify!($name)).field(&self.family.name()).finish()
            }
        }
    };
}

/// The labels as text, made by code of the user's label types: a panic there is none of the application's that records,
/// and gives no combination of its own.
fn combination<L: LabelSet>(labels: L, symbols: &Symbols) -> Option<Combination> {
    let mut pairs = Vec::with_capacity(L::NAMES.len());
    let mut take =
        |name, text: &str| pairs.push((name, if text.len() > MAX_TEXT { "__other__" } else { text }.to_owned()));
    catch_unwind(AssertUnwindSafe(|| labels.visit(symbols, &mut take))).ok()?;
    Some(Combination::from_pairs(pairs.iter().map(|(name, text)| (*name, text.as_str()))))
}

/// The longest text of a label, in bytes, as of a [`Symbol`](super::Symbol): a longer one becomes `__other__`.
const MAX_TEXT: usize = 256;

handle! {
    /// A value of the whole platform that only grows. `V` is `u64`, or `Duration` for seconds.
    Counter<L, V = u64>
}

impl<L: LabelSet, V: Measure> Counter<L, V> {
    /// Adds to the series with these labels.
    #[inline]
    pub fn add(&self, labels: L, amount: V) {
        self.family.add(Tenant::NONE, self.combination(labels), amount.raw());
    }

    /// Raises the series to a total that something else has counted.
    pub fn raise_to(&self, labels: L, total: V) {
        self.family.raise(self.combination(labels), total.raw());
    }
}

handle! {
    /// A value of each tenant that only grows. `V` is `u64`, or `Duration` for seconds.
    TenantCounter<L, V = u64>
}

impl<L: LabelSet, V: Measure> TenantCounter<L, V> {
    /// Adds to the tenant's series with these labels.
    #[inline]
    pub fn add(&self, tenant: Tenant, labels: L, amount: V) {
        self.family.add(tenant, self.combination(labels), amount.raw());
    }
}

handle! {
    /// A value of the whole platform that grows and shrinks by what is added to it.
    UpDownCounter<L>
}

impl<L: LabelSet> UpDownCounter<L> {
    /// Counts one until the guard is dropped, also when that is by a panic or a cancelled future.
    #[inline]
    pub fn in_flight(&self, labels: L) -> InFlight<L> {
        InFlight { counter: self.clone(), entry: Some(self.enter(labels)) }
    }

    /// Counts one until [`leave`](Self::leave): what [`in_flight`](Self::in_flight) does, without a handle to the counter
    /// of its own. For a guard that can reach the counter anyway.
    #[inline]
    pub fn enter(&self, labels: L) -> UpDownEntry {
        UpDownEntry(self.family.shift(self.family.stripe(), self.combination(labels), 1))
    }

    /// Counts one less: what [`enter`](Self::enter) of this counter has counted.
    #[inline]
    pub fn leave(&self, entry: UpDownEntry) {
        if let UpDownEntry(Some(place)) = entry {
            self.family.shift_again(place, -1);
        }
    }

    /// Adds to the series with these labels. For something that lives for a while, prefer
    /// [`in_flight`](Self::in_flight), which cannot forget to subtract.
    #[inline]
    pub fn add(&self, labels: L, amount: i64) {
        self.family.shift(self.family.stripe(), self.combination(labels), amount);
    }
}

/// Something that is counted, made by [`UpDownCounter::enter`].
#[derive(Debug)]
#[must_use = "it is counted until it is given to `UpDownCounter::leave`"]
pub struct UpDownEntry(
    /// Where it was added: taken away there, a scrape that reads stripe after stripe never sees less than nothing.
    Option<(u32, u32)>,
);

/// Something that is counted while it lives, made by [`UpDownCounter::in_flight`].
#[derive(Debug)]
#[must_use = "it is counted only while the guard lives"]
pub struct InFlight<L: LabelSet> {
    counter: UpDownCounter<L>,
    /// `None` only while it is being dropped.
    entry: Option<UpDownEntry>,
}

impl<L: LabelSet> Drop for InFlight<L> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.counter.leave(entry);
        }
    }
}

handle! {
    /// A value of the whole platform that is set.
    Gauge<L>
}

impl<L: LabelSet> Gauge<L> {
    /// Sets the series with these labels. A value that is not finite is rejected, and counted.
    pub fn set(&self, labels: L, value: f64) {
        self.family.set(Tenant::NONE, self.combination(labels), value);
    }

    /// Takes the series away until it is set again: for what has ceased to exist.
    pub fn clear(&self, labels: L) {
        if let Some(combination) = self.family.known_combination(labels.key()) {
            self.family.clear(Tenant::NONE, combination);
        }
    }
}

handle! {
    /// A value of each tenant that is set.
    TenantGauge<L>
}

impl<L: LabelSet> TenantGauge<L> {
    /// Sets the tenant's series with these labels. A value that is not finite is rejected, and counted.
    pub fn set(&self, tenant: Tenant, labels: L, value: f64) {
        self.family.set(tenant, self.combination(labels), value);
    }

    /// Takes the tenant's series away until it is set again.
    pub fn clear(&self, tenant: Tenant, labels: L) {
        if let Some(combination) = self.family.known_combination(labels.key()) {
            self.family.clear(tenant, combination);
        }
    }
}

handle! {
    /// A distribution over the whole platform. `V` is `Duration`, or `u64` for bytes and numbers of things.
    Histogram<L, V = Duration>
}

impl<L: LabelSet, V: Measure> Histogram<L, V> {
    /// Counts a value into the series with these labels.
    #[inline]
    pub fn record(&self, labels: L, value: V) {
        self.record_within(labels, value, None);
    }

    /// The same for a value whose span is over by now: `exemplar` is what [`Registry::current_exemplar`] gave within it.
    ///
    /// [`Registry::current_exemplar`]: super::Registry::current_exemplar
    #[inline]
    pub fn record_within(&self, labels: L, value: V, exemplar: Option<Exemplar>) {
        self.family.observe(Tenant::NONE, self.combination(labels), value.raw(), exemplar);
    }
}

handle! {
    /// A distribution of each tenant. `V` is `Duration`, or `u64` for bytes and numbers of things.
    TenantHistogram<L, V = Duration>
}

impl<L: LabelSet, V: Measure> TenantHistogram<L, V> {
    /// Counts a value into the tenant's series with these labels.
    #[inline]
    pub fn record(&self, tenant: Tenant, labels: L, value: V) {
        self.record_within(tenant, labels, value, None);
    }

    /// The same for a value whose span is over by now: `exemplar` is what [`Registry::current_exemplar`] gave within it.
    ///
    /// [`Registry::current_exemplar`]: super::Registry::current_exemplar
    #[inline]
    pub fn record_within(&self, tenant: Tenant, labels: L, value: V, exemplar: Option<Exemplar>) {
        self.family.observe(tenant, self.combination(labels), value.raw(), exemplar);
    }
}
