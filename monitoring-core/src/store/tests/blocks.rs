//! The arrays under the tables.

use std::collections::HashSet;
use std::ptr::from_ref;

use proptest::prelude::*;

use super::super::blocks::Blocks;
use super::super::pages::Pages;

#[test]
fn no_two_elements_are_one() {
    let blocks = Blocks::<u64>::new(5_000);
    let mut seen = HashSet::new();
    for number in 0..5_000 {
        assert!(blocks.get(number).is_none() || number > 0);
        assert!(seen.insert(from_ref(blocks.make(number).unwrap())));
        assert_eq!(blocks.get(number).map(from_ref), blocks.make(number).map(from_ref));
    }
}

#[test]
fn past_the_end_there_is_nothing_and_nothing_is_made() {
    let blocks = Blocks::<u64>::new(10);
    assert!(blocks.get(0).is_none());
    assert_eq!(blocks.cost(0), Some(2 << 10));
    assert!(blocks.make(10).is_some());
    assert_eq!(blocks.cost(10), Some(0));
    assert!(blocks.make(u32::MAX).is_none());
    assert_eq!(blocks.cost(u32::MAX), None);
}

proptest! {
    #[test]
    fn the_next_made_element_is_the_first_of_a_made_block(made in 0..2_000_u32, from in 0..2_500_u32) {
        let blocks = Blocks::<u8>::new(2_500);
        blocks.make(made);
        let expected = (from..=2_500).find(|number| blocks.get(*number).is_some());
        prop_assert_eq!(blocks.next_made(from), expected);
    }

    #[test]
    fn no_two_pages_share_a_word_and_a_header_lies_beside_the_word_after_it(words in 1..40_usize, max in 1..3_000_usize) {
        let pages = Pages::new(words, max);
        let mut seen = HashSet::new();
        for id in (0..=max as u32).step_by(max / 50 + 1).chain([max as u32]) {
            let Some(page) = pages.make(id).filter(|page| !seen.contains(&from_ref(page.header().unwrap()))) else { continue };
            for place in 0..=words {
                prop_assert!(seen.insert(from_ref(page.word(place).unwrap())));
            }
            prop_assert_eq!(pages.words(page).take(words).map(from_ref).last(), page.word(words).map(from_ref));
            let line = |place| from_ref(page.word(place).unwrap()).addr() / 64;
            prop_assert_eq!(line(0), line(1));
        }
        prop_assert!(pages.make(u32::MAX).is_none());
    }
}
