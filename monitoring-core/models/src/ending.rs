//! Records that race with the end of their series.

use std::sync::Arc;

use crate::explore;
use crate::store::Store;

/// What the series of row 1 holds when another thread records into it.
const BEFORE: u64 = 7;

/// The page of that series: the first one is that of `__other__`.
const PAGE: u32 = 2;

/// The sweeps without a change after which a page is retired: so many that none ends that was recorded into meanwhile.
const SWEEPS: u8 = 4;

/// A store whose next sweep retires the page of that series.
fn about_to_retire(store: Arc<Store>) -> Arc<Store> {
    store.record(1, 0, BEFORE);
    sweep(&store, SWEEPS);
    store
}

fn sweep(store: &Store, times: u8) {
    (0..times).for_each(|_| store.table.sweep(SWEEPS));
}

/// What was recorded before and meanwhile is there in full; or the series has ended with what it held, and there is what
/// came after that.
fn check(store: &Store, amounts: &[u64]) {
    let (sum, records) = (amounts.iter().sum::<u64>(), amounts.len() as u64);
    let whole = vec![BEFORE + sum, 1 + records];
    let anew = vec![sum, records];
    assert_eq!(store.read(1, 0), Some(if store.ends(PAGE) == 0 { whole } else { anew }));
}

#[test]
fn a_record_that_races_with_retirement_counts() {
    explore(3, || {
        let store = about_to_retire(Store::of_pages());
        let other = store.spawn(|store| sweep(store, 1));
        store.record(1, 0, 3);
        other.join().unwrap();
        assert_eq!(store.ends(PAGE), 0);
        check(&store, &[3]);
    });
}

#[test]
fn a_record_that_races_with_closing_counts_in_the_old_series_or_in_a_new_one() {
    explore(3, || {
        let store = about_to_retire(Store::of_pages());
        sweep(&store, 1);
        let other = store.spawn(|store| sweep(store, 1));
        store.record(1, 0, 3);
        other.join().unwrap();
        check(&store, &[3]);
    });
}

#[test]
fn a_record_that_stands_still_from_before_the_retirement_counts() {
    explore(3, || {
        let store = about_to_retire(Store::of_pages());
        let other = store.spawn(|store| sweep(store, 2));
        store.record(1, 0, 3);
        other.join().unwrap();
        check(&store, &[3]);
    });
}

#[test]
fn two_records_that_race_with_the_end_count() {
    explore(2, || {
        let store = about_to_retire(Store::of_pages());
        let sweeper = store.spawn(|store| sweep(store, 2));
        let recorder = store.spawn(|store| store.record(1, 0, 3));
        store.record(1, 0, 20);
        sweeper.join().unwrap();
        recorder.join().unwrap();
        // Either may have come before the end, and only both.
        check(&store, &[3, 20]);
    });
}

#[test]
fn a_record_that_comes_when_its_page_is_that_of_another_row_leaves_nothing_there() {
    explore(3, || {
        let store = about_to_retire(Store::of_pages());
        let other = store.spawn(|store| {
            sweep(store, 3);
            store.record(2, 0, 100);
        });
        store.record(1, 0, 3);
        other.join().unwrap();
        check(&store, &[3]);
        assert_eq!(store.read(2, 0), Some(vec![100, 1]));
        assert_eq!(store.table.cells(), 3);
    });
}

#[test]
fn a_record_beside_an_idle_neighbour_keeps_both() {
    explore(3, || {
        let store = Store::of_counters();
        store.record(1, 1, 1);
        let store = about_to_retire(store);
        let other = store.spawn(|store| sweep(store, 3));
        store.record(1, 1, 3);
        other.join().unwrap();
        let is_whole = store.ends(PAGE) == 0;
        assert_eq!((store.value(1, 0), store.value(1, 1)), if is_whole { (BEFORE, 4) } else { (0, 3) });
        assert_eq!(store.table.occupancy(1), if is_whole { 2 } else { 1 });
    });
}
