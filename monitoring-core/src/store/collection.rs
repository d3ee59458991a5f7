//! How the store is brought up to date before it is read: by the application's collectors, by the end of idle series, and
//! by what the store says of itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use monitoring_macros::LabelSet;

use super::registry::Registry;
use super::rejected::{Rejected, RejectedReason};
use super::{Counter, Gauge, RegistryError, Symbol};
use crate::catalogue;

/// What becomes of a collector after it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// It runs again before the next scrape.
    Keep,
    /// It is removed: what it looked at is gone.
    Remove,
}

pub(super) type Collector = Arc<dyn Fn() -> Collect + Send + Sync>;

/// When series are looked at, to end the idle ones.
#[derive(Debug)]
pub(super) struct Sweeps {
    every: Duration,
    next: Mutex<Instant>,
}

impl Sweeps {
    /// The sweeps without a change after which a series ends: the first may find what was recorded just before it.
    const UNCHANGED: u8 = 13;

    pub(super) fn new(idle: Duration) -> Self {
        let every = idle / u32::from(Self::UNCHANGED - 1);
        Self { every, next: Mutex::new(Instant::now() + every) }
    }

    /// Whether one is due and no other thread is at it.
    fn is_due(&self) -> bool {
        self.next.try_lock().is_ok_and(|next| *next <= Instant::now())
    }

    /// Does it if it is due and no other thread is at it, given the number of sweeps after which a series ends.
    fn when_due(&self, sweep: impl FnOnce(u8)) {
        let Ok(mut next) = self.next.try_lock() else { return };
        let now = Instant::now();
        if *next <= now {
            *next = now + self.every;
            sweep(Self::UNCHANGED);
        }
    }
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
pub(super) struct OwnFamilies {
    series: Gauge<FamilyLabels>,
    bytes: Gauge<FamilyLabels>,
    overflow: Counter<FamilyLabels>,
    rejected: Counter<RejectedLabels>,
    collect_failures: Counter<()>,
    tenants: Gauge<()>,
    tenants_refused: Counter<()>,
}

impl OwnFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            series: registry.gauge(&catalogue::MONITORING_SERIES)?,
            bytes: registry.gauge(&catalogue::MONITORING_SERIES_BYTES)?,
            overflow: registry.counter(&catalogue::MONITORING_SERIES_OVERFLOW)?,
            rejected: registry.counter(&catalogue::MONITORING_REJECTED_SAMPLES)?,
            collect_failures: registry.counter(&catalogue::MONITORING_COLLECT_FAILURES)?,
            tenants: registry.gauge(&catalogue::MONITORING_TENANTS)?,
            tenants_refused: registry.counter(&catalogue::MONITORING_TENANTS_REFUSED)?,
        })
    }
}

impl Registry {
    /// Brings what is collected up to date, and ends what nobody has recorded into for long. What the store holds is
    /// read after that, so that nothing ends unread. Takes as long as the collectors take.
    pub(crate) fn collect(&self) {
        self.sweep();
        self.run_collectors();
        self.collect_own();
    }

    /// The same on another thread, waited for as long as `patience`: collectors that hang hold up nobody longer, are
    /// counted as a failure, and are not begun again before they have ended. What was collected less than `age` ago is
    /// not collected again.
    ///
    /// Panics outside of a Tokio runtime with its timer enabled.
    pub(crate) async fn collect_within(&self, patience: Duration, age: Duration) {
        let inner = &self.inner;
        if !inner.collecting.fly(self, age, patience, Self::run_collectors).await {
            self.note_collect_failure();
        }
        // Apart from the collectors, so that series end while one of them hangs.
        if inner.sweeps.is_due() {
            inner.sweeping.fly(self, Duration::ZERO, patience, Self::sweep).await;
        }
        self.collect_own();
    }

    /// What is collected for who reads the series of one tenant alone: the collectors, and nothing that is about the whole
    /// platform.
    pub(crate) async fn collect_for_a_tenant(&self, patience: Duration, age: Duration) {
        self.inner.collecting.fly(self, age, patience, Self::run_collectors).await;
    }

    /// The same without waiting: what collectors set is handed on as they set it, and those that hang are counted.
    #[cfg(feature = "metrics")]
    pub(super) fn collect_meanwhile(&self, patience: Duration) {
        if !self.inner.collecting.begin(self, patience, Self::run_collectors) {
            self.note_collect_failure();
        }
        self.sweep();
        self.collect_own();
    }

    fn sweep(&self) {
        self.inner.sweeps.when_due(|sweeps| {
            for (_, family) in &self.inner.families {
                family.sweep(sweeps);
            }
        });
    }

    fn run_collectors(&self) {
        // They run outside of the lock: a collector may register another one.
        let collectors = self.collectors().clone();
        for collector in collectors {
            let outcome = catch_unwind(AssertUnwindSafe(|| collector())).unwrap_or_else(|_panic| {
                self.note_collect_failure();
                Collect::Keep
            });
            if outcome == Collect::Remove {
                self.collectors().retain(|kept| !Arc::ptr_eq(kept, &collector));
            }
        }
    }

    /// Counts what has failed while values were brought up to date.
    pub(crate) fn note_collect_failure(&self) {
        self.inner.collect_failures.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(all(test, feature = "metrics"))]
    pub(crate) fn collect_failures(&self) -> u64 {
        self.inner.collect_failures.load(Ordering::Relaxed)
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
            let total = self.inner.shared.rejected.count(reason).load(Ordering::Relaxed);
            own.rejected.raise_to(RejectedLabels { reason }, total);
        }
        own.tenants.set((), self.inner.tenants.len() as f64);
        own.tenants_refused.raise_to((), self.inner.tenants.refused());
        own.collect_failures.raise_to((), self.inner.collect_failures.load(Ordering::Relaxed));
    }
}
