//! What the collector has accepted of each series: what deltas are counted from.
//!
//! A delta is the difference between a series and what was accepted of it, so it never has to be stored: what a lost
//! request should have said is in the next one. Only an accepted request moves the mark, and moves it once.
//!
//! There is a mark for each series of the store, whose budget is thereby the bound; the marks of series that are gone go
//! two walks later.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::fast::RandomState;
use rustc_hash::FxHasher;

use crate::store::{Exponential, Family, Reading, Scale, Series};

/// A series by 128 bits of a keyed hash of its family and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

/// A series as it was when it was sent.
#[derive(Debug)]
pub(super) struct Mark {
    /// When the series began; another number means another series under the same labels.
    start: u64,
    /// When it was read.
    time: u64,
    /// The walk that has come across the series last.
    walk: u64,
    words: Words,
    exponential: Option<Box<Exponential>>,
}

/// The words of a cell; most have one.
#[derive(Debug)]
enum Words {
    One(u64),
    Many(Box<[u64]>),
}

impl Words {
    fn of(words: &[u64]) -> Self {
        match words {
            [word] => Self::One(*word),
            words => Self::Many(words.into()),
        }
    }

    fn as_slice(&self) -> &[u64] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        }
    }
}

/// What was added to a series since its mark.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) since: u64,
    pub(super) words: Vec<u64>,
    pub(super) exponential: Option<Exponential>,
}

/// The marks of all series.
#[derive(Default)]
pub(super) struct Acknowledged {
    marks: HashMap<Key, Mark, BuildHasherDefault<FxHasher>>,
    /// The walks that have gone through the whole store.
    walk: u64,
    states: (RandomState, RandomState),
}

impl Acknowledged {
    /// A walk has gone through the whole store. What neither it nor the one before has come across is gone; one alone may
    /// miss a series that is being recorded into.
    pub(super) fn forget_the_rest(&mut self) {
        let walk = self.walk;
        self.marks.retain(|_, mark| mark.walk + 1 >= walk);
        self.walk += 1;
    }

    /// The key of a series of the family at that place.
    pub(super) fn key(&self, place: usize, family: &Family, series: &Series) -> Key {
        let (tenant, combination) = family.labels(series);
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write_usize(place);
            for text in [tenant.map_or("", |tenant| tenant.id()), combination.map_or("", |labels| labels.text())] {
                hasher.write(text.as_bytes());
                hasher.write_u8(0xff);
            }
            hasher.finish()
        };
        Key(hash(&self.states.0), hash(&self.states.1))
    }

    /// What was added to the series since it was accepted last; `None` if nothing was. The start tells series apart, so it
    /// must always be the same for one.
    pub(super) fn change(&mut self, key: Key, start: u64, reading: &Reading, series: &Series) -> Option<Change> {
        let mark = self.marks.get_mut(&key).filter(|mark| mark.start == start);
        let Some(mark) = mark else {
            return Some(Change { since: start, words: series.words.clone(), exponential: series.exponential.clone() });
        };
        mark.walk = self.walk;
        let has_float_sum = matches!(reading, Reading::Histogram { scale: Scale::Float, .. });
        let words: Option<Vec<u64>> = series
            .words
            .iter()
            .zip(mark.words.as_slice())
            .enumerate()
            .map(|(index, (now, before))| match index {
                0 if has_float_sum => Some((f64::from_bits(*now) - f64::from_bits(*before)).to_bits()),
                _ => now.checked_sub(*before),
            })
            .collect();
        let exponential = match (&series.exponential, &mark.exponential) {
            (Some(now), Some(before)) => subtract(now, before).map(Some),
            (now, _) => Some(now.clone()),
        };
        let since = mark.time;
        match (words, exponential) {
            (Some(words), Some(exponential)) if words.len() == series.words.len() => {
                let is_same = words.iter().all(|word| *word == 0)
                    && exponential.as_ref().is_none_or(|change| change.zero_count == 0 && change.buckets.is_empty());
                (!is_same).then_some(Change { since, words, exponential })
            }
            // It has become less, so it began anew.
            _ => Some(Change { since, words: series.words.clone(), exponential: series.exponential.clone() }),
        }
    }

    /// What to [`accept`](Self::accept) once the collector has it.
    pub(super) fn mark(&self, start: u64, time: u64, series: &Series) -> Mark {
        let exponential = series.exponential.clone().map(Box::new);
        Mark { start, time, walk: self.walk, words: Words::of(&series.words), exponential }
    }

    /// The collector has the series as it was.
    pub(super) fn accept(&mut self, marks: Vec<(Key, Mark)>) {
        self.marks.extend(marks);
    }
}

/// What was added between two states of the same exponential buckets; `None` if they have become less.
fn subtract(now: &Exponential, before: &Exponential) -> Option<Exponential> {
    // A histogram only ever becomes coarser.
    let shift = u32::try_from(i32::from(before.scale) - i32::from(now.scale)).ok()?;
    let zero_count = now.zero_count.checked_sub(before.zero_count)?;
    let mut buckets = now.buckets.clone();
    for (index, count) in (i64::from(before.offset)..).zip(&before.buckets) {
        if *count == 0 {
            continue;
        }
        let place = usize::try_from((index >> shift.min(63)) - i64::from(now.offset)).ok()?;
        let bucket = buckets.get_mut(place)?;
        *bucket = bucket.checked_sub(*count)?;
    }
    let first = buckets.iter().position(|count| *count > 0).unwrap_or(buckets.len());
    let last = buckets.iter().rposition(|count| *count > 0).map_or(first, |last| last + 1);
    let offset = now.offset.saturating_add(i32::try_from(first).ok()?);
    let buckets = buckets.get(first..last).unwrap_or_default().to_vec();
    Some(Exponential { scale: now.scale, zero_count, offset, buckets })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Counts by index, at a scale.
    fn exponential(scale: i8, counts: &BTreeMap<i32, u64>) -> Exponential {
        let mut buckets = Exponential { scale, zero_count: counts.len() as u64, offset: 7, buckets: Vec::new() };
        if let (Some((&first, _)), Some((&last, _))) = (counts.first_key_value(), counts.last_key_value()) {
            buckets.offset = first;
            buckets.buckets = (first..=last).map(|index| counts.get(&index).copied().unwrap_or_default()).collect();
        }
        buckets
    }

    fn coarser(counts: &BTreeMap<i32, u64>, shift: u32) -> BTreeMap<i32, u64> {
        let mut merged = BTreeMap::new();
        for (index, count) in counts {
            *merged.entry(index >> shift).or_default() += count;
        }
        merged
    }

    proptest! {
        #[test]
        fn what_was_added_to_exponential_buckets_is_their_difference_whatever_the_scales(
            before in prop::collection::btree_map(-200..200, 1..50_u64, 0..20),
            added in prop::collection::btree_map(-200..200, 1..50_u64, 0..20),
            (scale, shift) in (0..12_i8, 0..6_u32),
        ) {
            let mut now = coarser(&before, shift);
            for (index, count) in coarser(&added, shift) {
                *now.entry(index).or_default() += count;
            }
            let coarse = scale - shift as i8;
            let mut now = exponential(coarse, &now);
            now.zero_count = before.len() as u64 + 3;
            let change = subtract(&now, &exponential(scale, &before)).unwrap();

            prop_assert_eq!((change.scale, change.zero_count), (coarse, 3));
            let found: BTreeMap<i32, u64> =
                (change.offset..).zip(change.buckets.iter().copied()).filter(|(_, count)| *count > 0).collect();
            prop_assert_eq!(found, coarser(&added, shift));
            // No empty bucket is sent at either end.
            prop_assert!(change.buckets.first() != Some(&0) && change.buckets.last() != Some(&0));
        }
    }

    #[test]
    fn a_series_that_one_walk_has_missed_is_still_known_and_one_that_two_have_missed_is_gone() {
        let mut series = Series::default();
        series.words = vec![7];
        let (key, reading) = (Key(1, 2), Reading::Counter(Scale::One));
        for (missed, is_known) in [(0, true), (1, true), (2, false)] {
            let mut acknowledged = Acknowledged::default();
            let mark = acknowledged.mark(5, 6, &series);
            acknowledged.accept(vec![(key, mark)]);
            for _ in 0..=missed {
                acknowledged.forget_the_rest();
            }
            let change = acknowledged.change(key, 5, &reading, &series);
            assert_eq!(change.is_none(), is_known, "{missed}");
        }
    }

    #[test]
    fn buckets_that_have_become_less_or_finer_have_begun_anew() {
        let [few, many] = [3, 4].map(|count| exponential(2, &BTreeMap::from([(5, count)])));
        assert_eq!(subtract(&few, &many), None);
        assert_eq!(subtract(&exponential(2, &BTreeMap::new()), &few), None);
        assert_eq!(subtract(&exponential(3, &BTreeMap::from([(10, 9)])), &few), None);
    }
}
