//! Cells that several threads make at once, and runs that are replaced by longer ones.

use crate::explore;
use crate::store::{FIRST_IN_RUN, PAST_THE_RUN, Store};

fn a_cell_and_its_neighbours(store: impl Fn() -> std::sync::Arc<Store> + Send + Sync + 'static) {
    explore(3, move || {
        let store = store();
        let other = store.spawn(|store| {
            store.record(1, 0, 1);
            store.record(1, 2, 10);
        });
        store.record(1, 0, 2);
        store.record(1, 1, 20);
        other.join().unwrap();

        assert_eq!([0, 1, 2].map(|combination| store.value(1, combination)), [3, 20, 10]);
        // One more is that of `__other__`.
        assert_eq!((store.table.cells(), store.table.occupancy(1)), (4, 3));
    });
}

#[test]
fn a_page_that_two_threads_make_is_one_page_and_nothing_is_lost() {
    a_cell_and_its_neighbours(Store::of_pages);
}

#[test]
fn a_cell_that_two_threads_make_in_one_page_is_one_cell_and_nothing_is_lost() {
    a_cell_and_its_neighbours(Store::of_counters);
}

#[test]
fn three_threads_that_make_a_cell_make_one() {
    explore(2, || {
        let store = Store::of_counters();
        store.record(1, 1, 5);
        let others = [1, 10].map(|amount| store.spawn(move |store| store.record(1, 0, amount)));
        store.record(1, 0, 100);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((store.value(1, 0), store.value(1, 1), store.table.cells()), (111, 5, 3));
    });
}

#[test]
fn a_record_finds_its_cell_while_its_run_is_replaced_and_goes_to_another_row() {
    explore(3, || {
        let store = Store::of_pages();
        store.record(1, FIRST_IN_RUN, 1);
        let other = store.spawn(|store| {
            // A longer run, and another row that takes the shorter one.
            store.record(1, PAST_THE_RUN, 10);
            store.record(2, FIRST_IN_RUN, 100);
        });
        store.record(1, FIRST_IN_RUN, 2);
        store.record(1, FIRST_IN_RUN, 4);
        other.join().unwrap();
        assert_eq!((store.value(1, FIRST_IN_RUN), store.value(1, PAST_THE_RUN)), (7, 10));
        assert_eq!((store.value(2, FIRST_IN_RUN), store.table.cells()), (100, 4));
    });
}
