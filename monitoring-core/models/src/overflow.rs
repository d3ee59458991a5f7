//! Budgets, while several threads make series.

use crate::budget::{Bytes, CardinalityBudget};
use crate::explore;
use crate::store::{OTHER, Store, table};
use crate::sync::Ordering;
use crate::table::Layout;
use crate::tenant::Tier;

const COUNTERS: Layout = Layout::Counters { initial: 0 };

#[test]
fn concurrent_creators_share_the_budget_and_what_is_refused_is_in_the_shared_series() {
    explore(3, || {
        // Each of three tenants has a floor of one, and one more is for all.
        let budget = CardinalityBudget::default().per_family(4);
        let store = Store::new(COUNTERS, budget, Bytes::new(usize::MAX));
        store.record(3, 0, 1);
        let other = store.spawn(|store| {
            store.record(1, 0, 10);
            store.record(1, 1, 20);
        });
        store.record(2, 0, 300);
        store.record(2, 1, 500);
        other.join().unwrap();

        assert_eq!(store.table.all_cells().table(), 4);
        assert_eq!(store.overflow.load(Ordering::Relaxed), 1);
        let values = (store.value(1, 1), store.value(2, 1), store.value(OTHER, 1));
        assert!(matches!(values, (20, 0, 500) | (0, 500, 20)), "{values:?}");
        assert_eq!((store.value(1, 0), store.value(2, 0), store.value(3, 0)), (10, 300, 1));
    });
}

#[test]
fn a_reservation_is_kept_whoever_comes_first() {
    explore(3, || {
        // Both series are for those that pay; the floors of others come on top.
        let budget = CardinalityBudget::default().per_family(2).reserve(Tier::Standard, 2);
        let store = Store::new(COUNTERS, budget, Bytes::new(usize::MAX));
        let other = store.spawn(|store| {
            store.record(1, 0, 10);
            store.record(1, 1, 20);
        });
        store.record(2, 0, 300);
        store.record(2, 1, 500);
        other.join().unwrap();

        assert_eq!((store.value(2, 0), store.value(2, 1)), (300, 500));
        assert_eq!((store.value(1, 0), store.value(1, 1), store.value(OTHER, 1)), (10, 0, 20));
    });
}

#[test]
fn concurrent_creators_share_the_bytes() {
    explore(3, || {
        let own = table(COUNTERS, Bytes::new(usize::MAX)).taken_bytes();
        let unlimited = Store::of_counters();
        unlimited.record(1, 0, 1);
        unlimited.record(2, 0, 1);
        // Room for one row besides the shared one, not for two: a table gets half of what is there.
        let limit = own + 2 * (unlimited.table.taken_bytes() - own) - 1;

        let store = Store::new(COUNTERS, CardinalityBudget::default(), Bytes::new(limit));
        let other = store.spawn(|store| store.record(1, 0, 10));
        store.record(2, 0, 300);
        other.join().unwrap();

        assert!(store.table.taken_bytes() <= limit);
        let values = (store.value(1, 0), store.value(2, 0), store.value(OTHER, 0));
        assert!(matches!(values, (10, 0, 300) | (0, 300, 10)), "{values:?}");
        assert_eq!(store.overflow.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn tables_that_share_bytes_take_no_more_than_there_are() {
    /// What one gets that wants so many, one after another.
    fn taken(bytes: &Bytes, wanted: [usize; 2]) -> usize {
        wanted.into_iter().fold(0, |taken, more| if bytes.take(taken, more) { taken + more } else { taken })
    }

    explore(3, || {
        let bytes = Bytes::new(100);
        let other = {
            let bytes = bytes.clone();
            loom::thread::spawn(move || taken(&bytes, [40, 10]))
        };
        let here = taken(&bytes, [30, 20]);
        let there = other.join().unwrap();
        // Whoever is first gets up to a half, and the other one up to half of the rest.
        assert!(here.max(there) <= 50 && here + there >= 40, "{here} and {there}");
        let rest = 100 - here - there;
        assert!(!bytes.take(0, rest) && bytes.take(0, rest / 2));
    });
}

#[test]
fn room_that_an_ended_series_gives_back_is_given_once() {
    explore(3, || {
        let budget = CardinalityBudget::default().per_family(2).per_tenant(2);
        let store = Store::new(COUNTERS, budget, Bytes::new(usize::MAX));
        store.record(1, 0, 1);
        store.record(3, 0, 2);
        // Row 1 is idle; row 3 is not.
        store.table.sweep(1);
        store.table.sweep(1);
        store.record(3, 0, 4);
        let sweeper = store.spawn(|store| store.table.sweep(1));
        store.record(3, 1, 30);
        sweeper.join().unwrap();

        let cells = store.table.all_cells().table();
        assert_eq!(store.value(1, 0), 0);
        assert_eq!(store.value(3, 0), 6);
        assert_eq!(store.value(3, 1) + store.value(OTHER, 1), 30);
        assert_eq!(cells, if store.value(3, 1) == 30 { 2 } else { 1 });
    });
}
