//! The combinations of label values that a family has seen, each with a dense id.
//!
//! A combination is shared by all tenants: a hundred tenants that use the same twenty routes make twenty combinations.
//! Its label text is escaped once, when it is first seen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Slots of the first hash table; each later one has twice as many.
const FIRST_TABLE: usize = 32;

/// Enough tables for [`MAX_KEYS`]: the last one is then half full.
const TABLES: usize = 17;

/// The keys that are remembered, and so the most combinations.
const MAX_KEYS: usize = 1 << 20;

/// The labels of a combination, the tenant left out.
#[derive(Debug, Default)]
pub(crate) struct Combination {
    /// `method="GET",route="/x"`, escaped for the text format; empty if there are no labels.
    text: Arc<str>,
}

impl Combination {
    /// From names and texts; a label without text is left away.
    pub(crate) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            push_pair(&mut text, name, value);
        }
        Self { text: text.into() }
    }

    /// Where everything goes that comes after the last combination allowed. The label is the OpenTelemetry attribute
    /// `otel.metric.overflow`.
    fn overflow() -> Self {
        Self::from_pairs([("otel_metric_overflow", "true")])
    }

    /// The label pairs, escaped for the text format and separated by commas.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn push_pair(text: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// A hash table from packed label values to ids, read without a lock.
///
/// It only ever grows. When it is more than half full, a table of twice the size is filled and published; readers that
/// still use the smaller one miss at worst what was added since, and then ask again under the lock. Smaller tables are
/// kept: together they take less room than the largest.
#[derive(Debug)]
pub(super) struct Combinations {
    tables: [OnceLock<Box<[Slot]>>; TABLES],
    /// The place of the table to read.
    current: AtomicU32,
    list: boxcar::Vec<Combination>,
    max: u32,
    made: Mutex<Made>,
}

/// What exists, changed under the lock only.
#[derive(Debug, Default)]
struct Made {
    /// The ids by text: values that differ but read the same are one series, not two with the same labels.
    ids: HashMap<Arc<str>, u32>,
    /// The keys in the current table.
    keys: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// The packed values plus one; zero in a free slot.
    key: AtomicU64,
    id: AtomicU32,
}

impl Combinations {
    /// The id of the overflow combination.
    pub(super) const OVERFLOW: u32 = 0;

    /// Room for `max` combinations besides the overflow one.
    pub(super) fn new(max: u32) -> Self {
        let combinations = Self {
            tables: [const { OnceLock::new() }; TABLES],
            current: AtomicU32::new(0),
            list: boxcar::Vec::new(),
            max: max.clamp(1, MAX_KEYS as u32),
            made: Mutex::default(),
        };
        combinations.table(0);
        let overflow = Combination::overflow();
        combinations.made().ids.insert(Arc::clone(&overflow.text), Self::OVERFLOW);
        combinations.list.push(overflow);
        combinations
    }

    /// The id of `key`, if it has one.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let table = self.tables.get(self.current.load(Ordering::Acquire) as usize)?.get()?;
        let wanted = stored(key);
        for slot in probe(table, wanted) {
            match slot.key.load(Ordering::Acquire) {
                0 => return None,
                found if found == wanted => return Some(slot.id.load(Ordering::Relaxed)),
                _ => {}
            }
        }
        None
    }

    /// The id of `key`, made if need be; [`OVERFLOW`](Self::OVERFLOW) when there is no room.
    #[cold]
    pub(super) fn insert(&self, key: u64, combination: impl FnOnce() -> Combination) -> u32 {
        if self.is_full() {
            // The list never shrinks, and a key comes before its combination: a full list needs no lock.
            return self.find(key).unwrap_or(Self::OVERFLOW);
        }
        // The text is made outside of the lock, because it runs code of the user's label types.
        let combination = combination();
        let mut made = self.made();
        if let Some(id) = self.find(key) {
            return id;
        }
        match made.ids.get(&combination.text) {
            Some(&id) => {
                self.remember(key, id, &mut made);
                id
            }
            None if self.is_full() => Self::OVERFLOW,
            None => {
                self.remember(key, self.len(), &mut made);
                self.push(combination, &mut made)
            }
        }
    }

    /// The id of a combination that is known by its text alone, made if need be; [`OVERFLOW`](Self::OVERFLOW) when
    /// there is no room.
    #[cfg(feature = "metrics")]
    pub(super) fn intern(&self, combination: Combination) -> u32 {
        let mut made = self.made();
        match made.ids.get(&combination.text) {
            Some(&id) => id,
            None if self.is_full() => Self::OVERFLOW,
            None => self.push(combination, &mut made),
        }
    }

    fn push(&self, combination: Combination, made: &mut Made) -> u32 {
        let id = self.len();
        made.ids.insert(Arc::clone(&combination.text), id);
        self.list.push(combination);
        id
    }

    fn remember(&self, key: u64, id: u32, made: &mut Made) {
        if made.keys == MAX_KEYS {
            // Found by its text each time.
            return;
        }
        made.keys += 1;
        let current = self.current.load(Ordering::Relaxed);
        let table = self.table(current as usize);
        if made.keys * 2 <= table.len() {
            return put(table, stored(key), id);
        }
        let grown = self.table(current as usize + 1);
        for slot in table {
            let taken = slot.key.load(Ordering::Relaxed);
            if taken != 0 {
                put(grown, taken, slot.id.load(Ordering::Relaxed));
            }
        }
        put(grown, stored(key), id);
        self.current.store(current + 1, Ordering::Release);
    }

    pub(super) fn get(&self, id: u32) -> Option<&Combination> {
        self.list.get(id as usize)
    }

    /// The number of ids, the overflow one included.
    pub(super) fn len(&self) -> u32 {
        self.list.count() as u32
    }

    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.tables.iter().filter_map(OnceLock::get).map(|table| table.len()).sum();
        // The text, its reference counts, and the two entries that point to it.
        let entry = 2 * size_of::<Combination>() + size_of::<u64>() * 3;
        let texts: usize = self.list.iter().map(|(_, combination)| combination.text.len() + entry).sum();
        slots * size_of::<Slot>() + texts
    }

    fn is_full(&self) -> bool {
        self.list.count() > self.max as usize
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self, place: usize) -> &[Slot] {
        let make = || (0..FIRST_TABLE << place).map(|_| Slot::default()).collect();
        self.tables.get(place).map_or(&[], |table| table.get_or_init(make))
    }
}

/// How a key is stored: never as zero. The bit above [`LABEL_SET_BITS`](super::LABEL_SET_BITS) is not the key's.
#[inline]
fn stored(key: u64) -> u64 {
    (key & (u64::MAX >> 1)) + 1
}

/// The slots where `wanted` can be, nearest first.
#[inline]
fn probe(table: &[Slot], wanted: u64) -> impl Iterator<Item = &Slot> {
    // Fibonacci hashing: the highest bits of the product depend on all bits of the key. The length is a power of two.
    let hash = wanted.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let start = (hash >> (u64::BITS - table.len().trailing_zeros())) as usize;
    let (before, after) = table.split_at_checked(start).unwrap_or((table, &[]));
    after.iter().chain(before)
}

/// Stores an id in the first free slot. The lock is held; the key comes last, so a reader that sees it sees the id.
fn put(table: &[Slot], key: u64, id: u32) {
    if let Some(slot) = probe(table, key).find(|slot| slot.key.load(Ordering::Relaxed) == 0) {
        slot.id.store(id, Ordering::Relaxed);
        slot.key.store(key, Ordering::Release);
    }
}
