//! A hash table from keys to ids that is read without a lock: the one under label combinations, symbols and tenants.

use crate::sync::{AtomicU32, AtomicU64, OnceLock, Ordering};

/// Slots of the first table, as a power of two; each later one has twice as many.
const FIRST_LOG2: usize = 5;

/// Enough tables for 2^26 keys: the last one is then half full.
const TABLES: usize = 23;

/// A table of keys of 63 bits, which only ever grows.
///
/// When it is more than half full, a table of twice the size is filled and published; readers that still use the smaller
/// one miss at worst what was added since, and then ask again under the lock of whoever adds. Smaller tables are kept:
/// together they take less room than the largest.
#[derive(Debug)]
pub(crate) struct IdTable {
    tables: [OnceLock<Box<[Slot]>>; TABLES],
    /// The place of the table to read.
    current: AtomicU32,
    keys: AtomicU32,
}

#[derive(Debug, Default)]
struct Slot {
    /// The key plus one; zero in a free slot.
    key: AtomicU64,
    id: AtomicU32,
}

impl IdTable {
    /// What a key takes at most: a table is at least a quarter full, and the smaller ones together are as large.
    pub(crate) const BYTES_PER_KEY: usize = 8 * size_of::<Slot>();

    pub(crate) fn new() -> Self {
        let tables = std::array::from_fn(|_| OnceLock::new());
        let table = Self { tables, current: AtomicU32::new(0), keys: AtomicU32::new(0) };
        table.table(0);
        table
    }

    /// The id of `key` that `is_wanted`: keys that are hashes can be those of several.
    #[inline]
    pub(crate) fn find(&self, key: u64, is_wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let slots = self.tables.get(self.current.load(Ordering::Acquire) as usize)?.get()?;
        let wanted = stored(key);
        let mut place = first_place(wanted, slots.len());
        loop {
            let slot = slots.get(place)?;
            let found = slot.key.load(Ordering::Acquire);
            if found == wanted {
                let id = slot.id.load(Ordering::Relaxed);
                if is_wanted(id) {
                    return Some(id);
                }
            }
            if found == 0 {
                return None;
            }
            place = (place + 1) & (slots.len() - 1);
        }
    }

    /// Adds an id. No two threads may add at a time.
    pub(crate) fn insert(&self, key: u64, id: u32) {
        let keys = self.keys.load(Ordering::Relaxed) + 1;
        let current = self.current.load(Ordering::Relaxed) as usize;
        let slots = self.table(current);
        if keys as usize * 2 <= slots.len() {
            put(slots, stored(key), id);
        } else {
            let grown = self.table(current + 1);
            for slot in slots {
                let taken = slot.key.load(Ordering::Relaxed);
                if taken != 0 {
                    put(grown, taken, slot.id.load(Ordering::Relaxed));
                }
            }
            put(grown, stored(key), id);
            self.current.store(current as u32 + 1, Ordering::Release);
        }
        self.keys.store(keys, Ordering::Relaxed);
    }

    /// The keys that were added.
    pub(crate) fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed) as usize
    }

    fn table(&self, place: usize) -> &[Slot] {
        let make = || (0..1_usize << (place + FIRST_LOG2)).map(|_| Slot::default()).collect();
        self.tables.get(place).map_or(&[], |table| table.get_or_init(make))
    }
}

/// How a key is stored: never as zero. The highest bit is not the key's.
#[inline]
fn stored(key: u64) -> u64 {
    (key & (u64::MAX >> 1)) + 1
}

/// The slot where `wanted` is looked for first. Fibonacci hashing: the highest bits of the product depend on all bits of
/// the key. The length is a power of two.
#[inline]
fn first_place(wanted: u64, length: usize) -> usize {
    let hash = wanted.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (((hash >> 32) * length as u64) >> 32) as usize
}

/// Stores an id in the first free slot. The key comes last, so a reader that sees it sees the id.
fn put(slots: &[Slot], key: u64, id: u32) {
    let mut place = first_place(key, slots.len());
    while let Some(slot) = slots.get(place) {
        if slot.key.load(Ordering::Relaxed) == 0 {
            slot.id.store(id, Ordering::Relaxed);
            slot.key.store(key, Ordering::Release);
            return;
        }
        place = (place + 1) & (slots.len() - 1);
    }
}
