//! Readers, while runs are replaced and pages change hands.

use crate::explore;
use crate::store::{FIRST_IN_RUN, PAST_THE_RUN, Store};

#[test]
fn a_series_is_read_while_its_run_is_replaced_and_goes_to_another_row() {
    explore(3, || {
        let store = Store::of_pages();
        store.record(1, FIRST_IN_RUN, 1);
        let other = store.spawn(|store| {
            store.record(1, PAST_THE_RUN, 10);
            store.record(2, FIRST_IN_RUN, 100);
        });
        assert_eq!(store.read(1, FIRST_IN_RUN), Some(vec![1, 1]));
        other.join().unwrap();
    });
}

#[test]
fn a_reader_takes_nothing_of_the_next_owner_of_a_page() {
    explore(3, || {
        let store = Store::of_pages();
        store.record(1, 0, 7);
        let other = store.spawn(|store| {
            // Seen, unchanged, closed, and free after one more.
            (0..4).for_each(|_| store.table.sweep(1));
            store.record(2, 0, 100);
        });
        assert!(matches!(store.read(1, 0).as_deref(), None | Some([7, 1])));
        assert!(matches!(store.read(2, 0).as_deref(), None | Some([0, 0] | [100, 0 | 1])));
        other.join().unwrap();
        assert_eq!((store.ends(2), store.read(1, 0), store.read(2, 0)), (1, None, Some(vec![100, 1])));
    });
}

#[test]
fn a_reader_takes_nothing_of_an_ended_series_for_the_one_after_it() {
    explore(3, || {
        let store = Store::of_pages();
        store.record(1, 0, 7);
        let other = store.spawn(|store| {
            (0..4).for_each(|_| store.table.sweep(1));
            store.record(1, 0, 100);
        });
        // Whole, or from zero.
        assert!(matches!(store.read(1, 0).as_deref(), None | Some([7, 1] | [0, 0] | [100, 0 | 1])));
        other.join().unwrap();
        assert_eq!(store.read(1, 0), Some(vec![100, 1]));
    });
}
