//! The texts that were read before.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use monitoring_core::database::System;
use papaya::{Equivalent, HashMap};

use super::Statement;

/// The longest text that is parsed and kept, in bytes.
pub(super) const MAX_LEN: usize = 16 * 1024;

/// How many texts are kept, which is also how many may be parsed at once, as after a start.
const MAX_TEXTS: NonZeroU32 = NonZeroU32::new(2_048).unwrap();

/// How many bytes the texts may have together.
const MAX_BYTES: usize = 4 << 20;

/// How many new texts are parsed per second: at 50 µs each, half a percent of a processor.
const PARSES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The shortest time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A bounded map from texts to what they are, read without a lock.
pub(super) struct Cache {
    texts: HashMap<Key, Entry, RandomState>,
    parses: DefaultDirectRateLimiter,
    /// Serialises insertion and sweeps, which are rare.
    insertion: Mutex<Insertion>,
}

struct Insertion {
    bytes: usize,
    swept: Option<Instant>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    system: System,
    text: Box<str>,
}

#[derive(Hash)]
struct Sought<'a> {
    system: System,
    text: &'a str,
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.system == key.system && *self.text == *key.text
    }
}

struct Entry {
    statement: Statement,
    /// Whether it was found since the last sweep.
    is_used: AtomicBool,
}

impl Cache {
    pub(super) fn new() -> Self {
        let quota = Quota::per_second(PARSES_PER_SECOND).allow_burst(MAX_TEXTS);
        Self {
            texts: HashMap::with_hasher(RandomState::default()),
            parses: RateLimiter::direct(quota),
            insertion: Mutex::new(Insertion { bytes: 0, swept: None }),
        }
    }

    pub(super) fn find(&self, system: System, text: &str) -> Option<Statement> {
        if text.len() > MAX_LEN {
            return None;
        }
        let guard = self.texts.guard();
        let entry = self.texts.get(&Sought { system, text }, &guard)?;
        // Read first, so that a statement that everybody executes is not written to by everybody.
        if !entry.is_used.load(Ordering::Relaxed) {
            entry.is_used.store(true, Ordering::Relaxed);
        }
        Some(entry.statement)
    }

    /// Has `parse` say what the text is, and keeps it; or says `None` of it if there is no room, or too much was parsed lately.
    pub(super) fn learn(
        &self,
        system: System,
        text: &str,
        by_keyword: Statement,
        parse: impl FnOnce() -> Statement,
    ) -> Statement {
        if text.len() > MAX_LEN || !self.has_room_for(text) || self.parses.check().is_err() {
            return by_keyword;
        }
        let statement = parse();
        let mut insertion = self.insertion();
        let guard = self.texts.guard();
        let entry = Entry { statement, is_used: AtomicBool::new(false) };
        if self.texts.try_insert(Key { system, text: text.into() }, entry, &guard).is_ok() {
            insertion.bytes += text.len();
        }
        statement
    }

    /// Whether there is room for the text, if need be after a sweep. Several threads may find the same room: the bounds are
    /// passed by a text for each of them at most.
    fn has_room_for(&self, text: &str) -> bool {
        let mut insertion = self.insertion();
        let has_room = |insertion: &Insertion| {
            self.texts.len() < MAX_TEXTS.get() as usize && insertion.bytes + text.len() <= MAX_BYTES
        };
        if !has_room(&insertion) && insertion.swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY) {
            self.sweep(&mut insertion);
        }
        has_room(&insertion)
    }

    /// Drops the texts that were not found since the last sweep.
    fn sweep(&self, insertion: &mut Insertion) {
        let guard = self.texts.guard();
        let mut kept = 0;
        self.texts.retain(
            |key, entry| {
                let is_used = entry.is_used.swap(false, Ordering::Relaxed);
                kept += if is_used { key.text.len() } else { 0 };
                is_used
            },
            &guard,
        );
        *insertion = Insertion { bytes: kept, swept: Some(Instant::now()) };
    }

    fn insertion(&self) -> std::sync::MutexGuard<'_, Insertion> {
        // The lock guards a sum and a time, which no panic can leave half-written.
        self.insertion.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("texts", &self.texts.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNREAD: Statement = Statement::of_operation("SELECT");
    const READ: Statement = Statement::of_operation("INSERT");

    fn learn(cache: &Cache, text: &str) -> Statement {
        cache.learn(System::Sqlite, text, UNREAD, || READ)
    }

    #[test]
    fn a_text_is_what_it_was_for_the_system_that_it_was_read_for() {
        let cache = Cache::new();
        assert_eq!(cache.find(System::Sqlite, "text"), None);
        assert_eq!(learn(&cache, "text"), READ);
        assert_eq!(cache.find(System::Sqlite, "text"), Some(READ));
        assert_eq!(cache.find(System::Postgresql, "text"), None);
    }

    #[test]
    fn neither_the_number_nor_the_bytes_of_the_texts_grow_beyond_their_bounds() {
        let cache = Cache::new();
        for number in 0..100_000 {
            learn(&cache, &format!("text {number}"));
        }
        assert!(cache.texts.len() <= MAX_TEXTS.get() as usize);

        let cache = Cache::new();
        for number in 0..2_000 {
            let statement = learn(&cache, &format!("{number:016384}"));
            assert!(statement == READ || number >= 256, "{number}");
        }
        assert!(cache.insertion().bytes <= MAX_BYTES);
        assert_eq!(learn(&cache, &"x".repeat(MAX_LEN + 1)), UNREAD);
    }

    #[test]
    fn a_sweep_makes_room_by_dropping_what_nobody_uses() {
        let cache = Cache::new();
        for number in 0..MAX_TEXTS.get() - 48 {
            learn(&cache, &format!("text {number}"));
        }
        assert!(cache.find(System::Sqlite, "text 7").is_some());
        cache.sweep(&mut cache.insertion());
        assert_eq!(cache.texts.len(), 1);
        assert_eq!(cache.insertion().bytes, "text 7".len());
        assert!(cache.find(System::Sqlite, "text 7").is_some());
        assert_eq!(learn(&cache, "another"), READ);
    }

    #[test]
    fn no_more_is_parsed_than_the_budget_allows() {
        let cache = Cache::new();
        let parsed = (0..100_000).filter(|number| {
            let mut was_parsed = false;
            cache.learn(System::Sqlite, &format!("text {number}"), UNREAD, || {
                was_parsed = true;
                READ
            });
            was_parsed
        });
        assert!(parsed.count() <= 2 * MAX_TEXTS.get() as usize);
    }
}
