//! Ids that are looked up while others are added.

use std::sync::Arc;

use loom::thread;

use crate::explore;
use crate::id_table::IdTable;

/// A table with ids for the keys up to that one.
fn table(keys: u32) -> Arc<IdTable> {
    let table = IdTable::new();
    (0..keys).for_each(|id| table.insert(id.into(), id));
    Arc::new(table)
}

fn look_up_while_one_is_added(keys: u32) {
    explore(3, move || {
        let table = table(keys);
        let adder = {
            let table = Arc::clone(&table);
            thread::spawn(move || table.insert(keys.into(), keys))
        };
        // What was there is found, and what comes is found with its own id or not at all.
        assert_eq!(table.find(0, |_| true), Some(0));
        assert!(table.find(keys.into(), |_| true).is_none_or(|id| id == keys));
        adder.join().unwrap();
        assert_eq!(table.find(keys.into(), |_| true), Some(keys));
        assert_eq!(table.len(), keys as usize + 1);
    });
}

#[test]
fn an_id_is_found_whole_or_not_at_all() {
    look_up_while_one_is_added(3);
}

#[test]
fn every_id_is_found_while_the_table_grows() {
    // The first table has 32 slots, and is full with half as many keys.
    look_up_while_one_is_added(16);
}
