//! The cells of a family.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::super::table::{Cell, Found, Layout, Table};

fn live(found: Found<'_>) -> Cell<'_> {
    match found {
        Found::Live(cell) => cell,
        Found::Folded => panic!("the cell is folded"),
        Found::Missing => panic!("the cell is missing"),
    }
}

fn word(cell: Cell<'_>, index: usize) -> u64 {
    cell.word(index).unwrap().load(Ordering::Relaxed)
}

#[test]
fn a_cell_that_is_made_twice_is_one_cell() {
    for layout in [Layout::Counters { initial: 0 }, Layout::Cell { words: 3 }] {
        let table = Table::new(layout, 2, 10);
        live(table.create(1, 5, |_| true)).word(0).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(word(live(table.create(1, 5, |_| true)), 0), 7);
        assert_eq!(word(live(table.create(1, 5, |_| false)), 0), 7);
        assert_eq!(table.cells(), 1);
    }
}

#[test]
fn a_new_counter_begins_with_the_initial_value_and_its_neighbours_are_missing() {
    let table = Table::new(Layout::Counters { initial: 42 }, 1, 10);
    assert_eq!(word(live(table.create(0, 3, |_| true)), 0), 42);
    for neighbour in [0, 2, 4, 7] {
        assert!(matches!(table.find(0, neighbour), Found::Missing));
    }
}

#[test]
fn what_was_refused_once_stays_refused_and_what_was_made_stays() {
    for layout in [Layout::Counters { initial: 0 }, Layout::Cell { words: 3 }] {
        let table = Table::new(layout, 2, 10);
        table.create(0, 0, |_| true);
        assert!(matches!(table.create(0, 1, |_| false), Found::Folded));
        assert!(matches!(table.create(0, 1, |_| true), Found::Folded));
        assert!(matches!(table.find(0, 1), Found::Folded));
        assert!(matches!(table.find(0, 0), Found::Live(_)));
        assert!(matches!(table.find(1, 1), Found::Missing));
    }
}

#[test]
fn a_table_without_room_makes_nothing_and_does_not_panic() {
    let table = Table::new(Layout::Cell { words: 5 }, 1, 1);
    let made = (0..5_000).filter(|combination| matches!(table.create(0, *combination, |_| true), Found::Live(_)));
    assert!(made.count() < 5_000);
    for (row, combination) in [(16, 0), (u32::MAX, 0), (0, u32::MAX)] {
        assert!(matches!(table.create(row, combination, |_| true), Found::Missing));
        assert!(matches!(table.find(row, combination), Found::Missing));
    }
}

proptest! {
    #[test]
    fn no_two_cells_share_a_word(
        words in prop_oneof![Just(None), (3..20_usize).prop_map(Some)],
        places in prop::collection::btree_set((0..40_u32, prop_oneof![0..60_u32, 0..5_000_u32]), 1..200),
    ) {
        let layout = words.map_or(Layout::Counters { initial: 0 }, |words| Layout::Cell { words });
        let table = Table::new(layout, 40, places.len());
        let words = words.unwrap_or(1);
        let marks = |number: usize| (0..words).map(move |index| (number * 100 + index + 1) as u64);
        for (number, (row, combination)) in places.iter().enumerate() {
            let cell = live(table.create(*row, *combination, |_| true));
            for (index, mark) in marks(number).enumerate() {
                cell.word(index).unwrap().store(mark, Ordering::Relaxed);
            }
        }
        for (number, (row, combination)) in places.iter().enumerate() {
            let cell = live(table.find(*row, *combination));
            prop_assert!(marks(number).enumerate().all(|(index, mark)| word(cell, index) == mark));
        }
        prop_assert_eq!(table.cells(), places.len());

        let mut found = Vec::new();
        let mut made = table.next_made_row(0);
        while let Some(row) = made {
            let mut next = table.next_live(row, 0);
            while let Some((combination, _)) = next {
                found.push((row, combination));
                next = table.next_live(row, combination + 1);
            }
            made = table.next_made_row(row + 1);
        }
        prop_assert_eq!(found, places.into_iter().collect::<Vec<_>>());
    }
}
