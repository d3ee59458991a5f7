//! The cells of a family.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::super::budget::Bytes;
use super::super::table::{Admission, Cell, Layout, Refusal, Table};

fn table(layout: Layout, max_rows: usize, max_pages: usize) -> Table {
    Table::new(layout, max_rows, max_pages, 10_000, Bytes::unlimited())
}

fn create(table: &Table, row: u32, combination: u32, is_admitted: bool) -> Option<Cell<'_>> {
    let admits = |_| if is_admitted { Ok(()) } else { Err(Refusal::Tier) };
    table.create(row, combination, &Admission::Budget(0, &admits), 0).ok()
}

fn word(cell: Cell<'_>, index: usize) -> u64 {
    cell.word(index).unwrap().load(Ordering::Relaxed)
}

#[test]
fn a_cell_that_is_made_twice_is_one_cell() {
    for layout in [Layout::Counters { initial: 0 }, Layout::Cell { words: 3 }] {
        let table = table(layout, 2, 10);
        create(&table, 1, 5, true).unwrap().word(0).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(word(create(&table, 1, 5, true).unwrap(), 0), 7);
        assert_eq!(word(create(&table, 1, 5, false).unwrap(), 0), 7);
        assert_eq!(table.cells(), 1);
    }
}

#[test]
fn a_new_counter_begins_with_the_initial_value_and_its_neighbours_are_missing() {
    let table = table(Layout::Counters { initial: 42 }, 1, 10);
    assert_eq!(word(create(&table, 0, 3, true).unwrap(), 0), 42);
    for neighbour in [0, 2, 4, 7] {
        assert!(table.find(0, neighbour).is_none());
    }
}

#[test]
fn what_is_refused_is_not_made_and_what_was_made_stays() {
    for layout in [Layout::Counters { initial: 0 }, Layout::Cell { words: 3 }] {
        let table = table(layout, 2, 10);
        create(&table, 0, 0, true).unwrap();
        assert!(create(&table, 0, 1, false).is_none());
        assert!(table.find(0, 1).is_none());
        assert!(create(&table, 0, 0, false).is_some());
        assert!(create(&table, 0, 1, true).is_some());
        assert_eq!((table.cells(), table.occupancy(0), table.occupancy(1)), (2, 2, 0));
    }
}

#[test]
fn past_its_bytes_a_table_makes_what_is_required_and_nothing_else() {
    let bytes = Bytes::new(100_000);
    let table = Table::new(Layout::Cell { words: 20 }, 100, 10_000, 10_000, bytes.clone());
    let own = table.taken_bytes();
    let made = (0..10_000).filter(|combination| create(&table, 1, *combination, true).is_some()).count();
    assert!((100..1_000).contains(&made), "{made} cells");
    // It gets half of what is there.
    assert!((own + (100_000 - own) / 2).abs_diff(table.taken_bytes()) < 5_000);
    assert!(bytes.take(0, 10_000), "others get what is left");
    assert!(table.create(2, 0, &Admission::Bytes, 0).is_err());
    assert!(table.create(2, 0, &Admission::Required, 0).is_ok());
    // What exists stays.
    assert!((0..made as u32).all(|combination| table.find(1, combination).is_some()));
}

#[test]
fn a_table_without_room_makes_nothing_and_does_not_panic() {
    let table = table(Layout::Cell { words: 5 }, 1, 1);
    let made = (0..5_000).filter(|combination| create(&table, 0, *combination, true).is_some());
    assert!(made.count() < 5_000);
    for (row, combination) in [(16, 0), (u32::MAX, 0), (0, u32::MAX)] {
        assert!(create(&table, row, combination, true).is_none());
        assert!(table.find(row, combination).is_none());
    }
}

proptest! {
    #[test]
    fn no_two_cells_share_a_word(
        words in prop_oneof![Just(None), (3..20_usize).prop_map(Some)],
        places in prop::collection::btree_set((0..40_u32, prop_oneof![0..60_u32, 0..5_000_u32]), 1..200),
    ) {
        let layout = words.map_or(Layout::Counters { initial: 0 }, |words| Layout::Cell { words });
        let table = table(layout, 40, places.len());
        let words = words.unwrap_or(1);
        let marks = |number: usize| (0..words).map(move |index| (number * 100 + index + 1) as u64);
        for (number, (row, combination)) in places.iter().enumerate() {
            let cell = create(&table, *row, *combination, true).unwrap();
            for (index, mark) in marks(number).enumerate() {
                cell.word(index).unwrap().store(mark, Ordering::Relaxed);
            }
        }
        for (number, (row, combination)) in places.iter().enumerate() {
            let cell = table.find(*row, *combination).unwrap();
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
