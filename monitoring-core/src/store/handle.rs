//! What the user of a metric holds: a family, typed by its labels and by what it measures.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

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

fn combination<L: LabelSet>(labels: L, symbols: &Symbols) -> Combination {
    let mut pairs = Vec::with_capacity(L::NAMES.len());
    labels.visit(symbols, &mut |name, text| pairs.push((name, text.to_owned())));
    Combination::from_pairs(pairs.iter().map(|(name, text)| (*name, text.as_str())))
}

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
        let entry = UpDownEntry { combination: self.combination(labels), stripe: self.family.stripe() };
        self.family.shift(entry.stripe, entry.combination, 1);
        entry
    }

    /// Counts one less: what [`enter`](Self::enter) of this counter has counted.
    #[inline]
    pub fn leave(&self, entry: UpDownEntry) {
        self.family.shift(entry.stripe, entry.combination, -1);
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
pub struct UpDownEntry {
    combination: u32,
    /// Where it was added: taken away there, a scrape that reads stripe after stripe never sees less than nothing.
    stripe: u32,
}

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
        self.family.clear(Tenant::NONE, self.combination(labels));
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
        self.family.clear(tenant, self.combination(labels));
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
        self.family.observe(Tenant::NONE, self.combination(labels), value.raw());
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
        self.family.observe(tenant, self.combination(labels), value.raw());
    }
}
