//! The table of combinations.

use std::collections::HashMap;
use std::time::Instant;

use proptest::prelude::*;

use super::super::budget::Bytes;
use super::super::combination::{Combination, Combinations};

fn texts(key: u64) -> Combination {
    Combination::from_pairs([("key", key.to_string().as_str())])
}

#[test]
fn as_many_combinations_as_the_documentation_allows_all_keep_their_own_id() {
    let max = 1 << 20;
    let combinations = Combinations::new(max, Bytes::unlimited());
    let ids = |key: u64| combinations.find(key);
    for key in 0..u64::from(max) {
        let id = combinations.insert(key, || Some(texts(key)));
        assert_eq!(u64::from(id), key + 1);
    }
    assert_eq!(combinations.insert(u64::from(max), || Some(texts(u64::from(max)))), Combinations::OVERFLOW);
    for key in 0..u64::from(max) {
        assert_eq!(ids(key), Some(key as u32 + 1));
    }
    assert_eq!(combinations.len(), max + 1);
}

#[test]
fn keys_that_differ_in_their_highest_bits_only_are_found_as_fast_as_others() {
    // A search that probes all of them takes thousands of times as long; the margin is for a busy machine.
    let fastest = |key: fn(u64) -> u64| {
        let combinations = Combinations::new(1 << 15, Bytes::unlimited());
        for number in 0..1 << 15 {
            combinations.insert(key(number), || Some(texts(number)));
        }
        let find_all = |_| {
            let start = Instant::now();
            for number in 0..1 << 15 {
                assert_eq!(combinations.find(key(number)), Some(number as u32 + 1));
            }
            start.elapsed()
        };
        (0..5).map(find_all).min()
    };
    let (low, high) = (fastest(|number| number).unwrap(), fastest(|number| number << 48).unwrap());
    assert!(high < low * 50, "low bits took {low:?}, high bits {high:?}");
}

#[test]
fn keys_past_the_last_remembered_are_still_found_by_their_text() {
    // As many keys as there can be, of two texts.
    let combinations = Combinations::new(8, Bytes::unlimited());
    let pair = |key: u64| Combination::from_pairs([("parity", if key.is_multiple_of(2) { "even" } else { "odd" })]);
    for key in 0..(1 << 20) + 10 {
        assert_eq!(u64::from(combinations.insert(key, || Some(pair(key)))), key % 2 + 1);
    }
    assert_eq!(combinations.len(), 3);
}

proptest! {
    #[test]
    fn ids_are_those_of_a_hash_map_of_texts(
        keys in prop::collection::vec(prop_oneof![0..40_u64, (0..40_u64).prop_map(|key| key << 56), any::<u64>().prop_map(|key| key >> 1)], 0..300),
        max in 1..200_u32,
    ) {
        let combinations = Combinations::new(max, Bytes::unlimited());
        let mut ids = HashMap::new();
        for key in keys {
            let next = ids.len() as u32 + 1;
            // Two keys in three have a text of their own.
            let text = texts(if key % 3 == 0 { key / 6 } else { key });
            let expected = match ids.get(text.text()) {
                Some(&id) => id,
                None if next <= max => {
                    ids.insert(text.text().to_owned(), next);
                    next
                }
                None => Combinations::OVERFLOW,
            };
            let known_before = combinations.find(key);
            let found = known_before.unwrap_or_else(|| combinations.insert(key, || Some(texts(if key % 3 == 0 { key / 6 } else { key }))));
            // A full table does not look for a new key's text: such a key overflows.
            let is_full = ids.len() as u32 == max;
            prop_assert!(found == expected || is_full && known_before.is_none() && found == Combinations::OVERFLOW);
        }
        prop_assert_eq!(combinations.len(), ids.len() as u32 + 1);
        for (text, id) in ids {
            prop_assert_eq!(combinations.get(id).unwrap().text(), text);
        }
    }
}

proptest! {
    #[cfg(any(feature = "protobuf", feature = "otlp"))]
    #[test]
    fn the_pairs_of_a_combination_are_those_it_was_made_of(values in proptest::collection::vec("\\PC*|[\"\\\\\n,=n]*", 0..5)) {
        let names = ["a", "b", "c", "d", "e"];
        let given: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
        let combination = Combination::from_pairs(given.iter().copied());
        let read: Vec<_> = combination.pairs().map(|(name, value)| (name, value.into_owned())).collect();
        let expected: Vec<_> =
            given.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (*name, (*value).to_owned())).collect();
        prop_assert_eq!(read, expected);
    }
}
