//! What is recorded in place of being exposed: it goes to the recorder that the application runs.
//!
//! The store keeps every value as it always does, since by that it knows which series are idle; and it says which series a
//! record counts into, its own or an overflow one. The same amount then goes to the handle of that series (`facade/meters.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use metrics::Label;

use super::addition::Addition;
use super::family::{Family, Rows};
use super::measure::Scale;
use super::reading::{CLEARED, Reading};
use super::registry::Registry;
use super::series::{Series, View};
use super::sync::Ordering;
use super::table::Cell;
use crate::catalogue::Descriptor;
use crate::facade::{Birth, Meter, Meters, OutsideRecorder, Sort};
use crate::tenant::Tenant;

/// How often a gauge that changes meanwhile is told again, at most.
const TRIES: usize = 8;

/// What takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a series is: the row of its tenant, zero for the platform, and its combination.
type Place = (u32, u32);

fn key((row, combination): Place) -> u64 {
    u64::from(row) << 32 | u64::from(combination)
}

impl Meters {
    /// The handles of a family that is read that way.
    pub(super) fn of_family(outside: &OutsideRecorder, name: &str, descriptor: &Descriptor, reading: &Reading) -> Self {
        let sort = match reading {
            Reading::Counter(Scale::One) => Sort::Counter,
            Reading::Counter(_) | Reading::UpDownCounter | Reading::Gauge => Sort::Gauge,
            Reading::Histogram { .. } => Sort::Histogram,
        };
        Self::new(outside.clone(), name, sort, descriptor.unit(), descriptor.help())
    }
}

impl Family {
    fn place(&self, cell: &Cell<'_>) -> Place {
        let (row, combination) = self.table.place(cell);
        (if self.is_per_tenant() { row } else { 0 }, combination)
    }

    /// The labels of a series; `None` if there is no such series.
    fn birth(&self, (row, combination): Place, missed: f64) -> Option<Birth> {
        let mut labels = Vec::new();
        if let Rows::Tenants { registry, .. } = &self.rows {
            labels.push(Label::new("tenant", registry.text(row)?.id().to_owned()));
        }
        let pairs = self.combinations.get_made(combination)?.pairs();
        labels.extend(pairs.map(|(name, value)| Label::new(name.to_owned(), value.into_owned())));
        Some(Birth { labels, missed })
    }

    /// Records, and hands on what was recorded.
    #[cold]
    #[inline(never)]
    pub(super) fn record_outbound(&self, meters: &Meters, tenant: Tenant, combination: u32, addition: Addition) {
        let Some(cell) = self.record_elsewhere(tenant, combination, addition) else { return };
        let place = self.place(&cell);
        let amount = addition.amount();
        meters.with(
            key(place),
            false,
            || self.birth(place, 0.0),
            |meter| match (meter, &self.reading) {
                (Some(Meter::Counter(counter)), _) => counter.increment(amount),
                (Some(Meter::Gauge(gauge)), Reading::Counter(scale)) => gauge.increment(scale.value(amount)),
                (Some(Meter::Histogram(histogram)), Reading::Histogram { scale, .. }) => {
                    histogram.record(scale.value(amount));
                }
                _ => {}
            },
        );
    }

    /// Adds to an up-down counter, and hands it on.
    ///
    /// Nothing is added while the series could have a handle and has none yet. So whoever makes it can tell what was added
    /// before, exactly, and everything else is told by whoever adds it.
    #[cold]
    #[inline(never)]
    pub(super) fn shift_outbound(&self, meters: &Meters, cell: &Cell<'_>, amount: i64) {
        let place = self.place(cell);
        let total = || self.total(place).cast_signed() as f64;
        meters.with(
            key(place),
            true,
            || self.birth(place, total()),
            |meter| {
                if let Some(word) = cell.word(0) {
                    word.fetch_add(amount.cast_unsigned(), Ordering::Relaxed);
                }
                if let Some(Meter::Gauge(gauge)) = meter {
                    gauge.increment(amount as f64);
                }
            },
        );
    }

    /// Hands on the total that a counter was raised to.
    #[cold]
    #[inline(never)]
    pub(super) fn raise_outbound(&self, meters: &Meters, cell: &Cell<'_>) {
        let place = self.place(cell);
        meters.with(
            key(place),
            false,
            || self.birth(place, 0.0),
            |meter| match (meter, &self.reading) {
                (Some(Meter::Counter(counter)), _) => counter.absolute(self.total(place)),
                (Some(Meter::Gauge(gauge)), Reading::Counter(scale)) => gauge.set(scale.value(self.total(place))),
                _ => {}
            },
        );
    }

    /// Hands on the value of a gauge.
    #[cold]
    #[inline(never)]
    pub(super) fn set_outbound(&self, meters: &Meters, cell: &Cell<'_>) {
        let place = self.place(cell);
        meters.with(key(place), false, || self.birth(place, 0.0), |meter| tell(meter, cell));
    }

    /// Hands on that a gauge has no value, if it was ever told one.
    #[cold]
    #[inline(never)]
    pub(super) fn clear_outbound(&self, meters: &Meters, place: Place) {
        meters.with_known(key(place), |meter| {
            if let Meter::Gauge(gauge) = meter {
                gauge.set(CLEARED);
            }
        });
    }

    /// The handles that there are.
    #[cfg(test)]
    pub(crate) fn handles(&self) -> usize {
        self.meters.as_ref().map_or(0, |meters| meters.len())
    }

    /// The first words of a series of the platform, added up over stripes.
    fn total(&self, (_, combination): Place) -> u64 {
        let Rows::Stripes(stripes) = self.rows else { return 0 };
        let cells = (0..stripes).filter_map(|row| self.table.find(row, combination));
        let words = cells.filter_map(|cell| Some(cell.word(0)?.load(Ordering::Relaxed)));
        words.fold(0, u64::wrapping_add)
    }

    /// Tells each gauge and each up-down counter once more what it is, so that a recorder that came late knows, and none takes
    /// it for idle.
    fn hand_on_levels(&self) {
        let Some(meters) = &self.meters else { return };
        if !matches!(self.reading, Reading::Gauge | Reading::UpDownCounter) {
            return;
        }
        let mut series = Series::default();
        while self.read(View::Whole, &mut series) {
            if let Some(cell) = self.cell_of(&series) {
                match self.reading {
                    Reading::Gauge => self.set_outbound(meters, &cell),
                    _ => self.shift_outbound(meters, &cell, 0),
                }
            }
            series.advance();
        }
    }

    /// The cell of a series that was read: of the platform, one of its cells.
    fn cell_of(&self, series: &Series) -> Option<Cell<'_>> {
        let (row, combination) = series.place();
        match self.rows {
            Rows::Tenants { .. } => self.table.find(row, combination),
            Rows::Stripes(stripes) => (0..stripes).find_map(|row| self.table.find(row, combination)),
        }
    }
}

/// Tells a gauge what its cell says, until it says the same afterwards: else the last one told could be an older value.
fn tell(meter: Option<&Meter>, cell: &Cell<'_>) {
    let (Some(Meter::Gauge(gauge)), Some(word)) = (meter, cell.word(0)) else { return };
    for _ in 0..TRIES {
        let told = word.load(Ordering::SeqCst);
        // A cell that was cleared meanwhile may be that of another series by now.
        if !cell.is_current() {
            return gauge.set(CLEARED);
        }
        gauge.set(f64::from_bits(told));
        if cell.is_current() && word.load(Ordering::SeqCst) == told {
            return;
        }
    }
}

impl Registry {
    /// Runs the collectors, and tells the outside recorder what each gauge is. Takes as long as the collectors take.
    pub(crate) fn hand_on(&self) {
        self.survive(|| self.collect());
        self.hand_on_levels();
    }

    /// The same without waiting for the collectors.
    pub(crate) fn hand_on_meanwhile(&self) {
        self.survive(|| self.collect_meanwhile(PATIENCE));
        self.hand_on_levels();
    }

    /// Does that, and drops the handles that nobody has used since the last beat.
    pub(crate) fn beat(&self) {
        self.hand_on_meanwhile();
        // The handle of an up-down counter stays: what it was told to add is all that its recorder knows.
        let families = self.all_families().filter(|family| !matches!(family.reading, Reading::UpDownCounter));
        families.filter_map(|family| family.meters.as_deref()).for_each(Meters::drop_idle);
    }

    fn hand_on_levels(&self) {
        self.all_families().for_each(|family| self.survive(|| family.hand_on_levels()));
    }

    /// A panic of the outside recorder is caught, and counted.
    fn survive(&self, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.note_collect_failure();
        }
    }

    fn all_families(&self) -> impl Iterator<Item = &Family> {
        (0..).map_while(|place| self.family_at(place))
    }
}
