//! The combinations of label values that a family has seen, each with a dense id.
//!
//! A combination is shared by all tenants: a hundred tenants that use the same twenty routes make twenty combinations.
//! Its label text is escaped once, when it is first seen.

#[cfg(any(feature = "metrics", feature = "protobuf", feature = "otlp"))]
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Bytes;
use crate::id_table::IdTable;

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

    /// The text, its reference counts, and the entries of a list and a map that point to it, which are up to half empty.
    fn bytes(&self) -> usize {
        self.text.len() + 2 * size_of::<usize>() + 4 * size_of::<Self>() + 4 * size_of::<(Arc<str>, u32)>()
    }

    /// The label pairs, escaped for the text format and separated by commas.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Each label's name and value, unescaped.
    #[cfg(any(feature = "metrics", feature = "protobuf", feature = "otlp"))]
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut rest = &*self.text;
        std::iter::from_fn(move || {
            let (name, value) = rest.split_once("=\"")?;
            let mut is_escaped = false;
            let end = value.bytes().position(|byte| {
                let ends = byte == b'"' && !is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                ends
            })?;
            let (value, after) = value.split_at_checked(end)?;
            rest = after.strip_prefix("\",").unwrap_or_default();
            Some((name, unescape(value)))
        })
    }
}

#[cfg(any(feature = "metrics", feature = "protobuf", feature = "otlp"))]
fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut letters = value.chars();
    let text = std::iter::from_fn(|| match letters.next()? {
        '\\' => letters.next().map(|letter| if letter == 'n' { '\n' } else { letter }),
        letter => Some(letter),
    });
    Cow::Owned(text.collect())
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

/// The combinations of a family: from packed label values to ids, read without a lock.
#[derive(Debug)]
pub(super) struct Combinations {
    keys: IdTable,
    list: boxcar::Vec<Combination>,
    bytes: Bytes,
    /// The bytes that were taken.
    taken: AtomicUsize,
    /// There were no bytes for another one; nobody is to try again before the next sweep.
    is_closed: AtomicBool,
    max: u32,
    /// The ids by text: values that differ but read the same are one series, not two with the same labels. Changed under
    /// the lock, as everything here is.
    ids: Mutex<HashMap<Arc<str>, u32>>,
}

impl Combinations {
    /// The id of the overflow combination.
    pub(super) const OVERFLOW: u32 = 0;

    /// Room for `max` combinations besides the overflow one.
    pub(super) fn new(max: u32, bytes: Bytes) -> Self {
        let combinations = Self {
            keys: IdTable::new(),
            list: boxcar::Vec::new(),
            bytes,
            taken: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            max: max.clamp(1, MAX_KEYS as u32),
            ids: Mutex::default(),
        };
        combinations.push(Combination::overflow(), &mut combinations.ids());
        combinations
    }

    /// The id of `key`, if it has one.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        self.keys.find(key, |_| true)
    }

    /// The id of `key`, made if need be; [`OVERFLOW`](Self::OVERFLOW) when there is no room.
    #[cold]
    pub(super) fn insert(&self, key: u64, combination: impl FnOnce() -> Option<Combination>) -> u32 {
        if self.is_full() || self.is_closed.load(Ordering::Relaxed) {
            // The list never shrinks, and a key comes before its combination: a full list needs no lock.
            return self.find(key).unwrap_or(Self::OVERFLOW);
        }
        // The text is made outside of the lock, because it runs code of the user's label types.
        let Some(combination) = combination() else { return Self::OVERFLOW };
        let mut ids = self.ids();
        if let Some(id) = self.find(key) {
            return id;
        }
        let known = ids.get(&combination.text).copied();
        if known.is_none() && !self.has_room(&combination) {
            return Self::OVERFLOW;
        }
        // Past that many, or without bytes, a key is found by its text each time.
        if self.keys.len() < MAX_KEYS && self.take(IdTable::BYTES_PER_KEY) {
            self.keys.insert(key, known.unwrap_or(self.len()));
        }
        known.unwrap_or_else(|| self.push(combination, &mut ids))
    }

    /// The id of a combination that is known by its text alone, made if need be; [`OVERFLOW`](Self::OVERFLOW) when
    /// there is no room.
    #[cfg(feature = "metrics")]
    pub(super) fn intern(&self, combination: Combination) -> u32 {
        let mut ids = self.ids();
        match ids.get(&combination.text) {
            Some(&id) => id,
            None if self.has_room(&combination) => self.push(combination, &mut ids),
            None => Self::OVERFLOW,
        }
    }

    fn has_room(&self, combination: &Combination) -> bool {
        !self.is_full() && self.take(combination.bytes())
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        let is_taken = self.bytes.take(taken, bytes);
        if is_taken {
            self.taken.store(taken + bytes, Ordering::Relaxed);
        } else {
            self.is_closed.store(true, Ordering::Relaxed);
        }
        is_taken
    }

    /// There may be bytes again.
    pub(super) fn reopen(&self) {
        self.is_closed.store(false, Ordering::Relaxed);
    }

    fn push(&self, combination: Combination, ids: &mut HashMap<Arc<str>, u32>) -> u32 {
        let id = self.len();
        ids.insert(Arc::clone(&combination.text), id);
        self.list.push(combination);
        id
    }

    pub(super) fn get(&self, id: u32) -> Option<&Combination> {
        self.list.get(id as usize)
    }

    /// The same for who has seen the id of a combination that another thread is making.
    #[cfg(feature = "metrics")]
    pub(super) fn get_made(&self, id: u32) -> Option<&Combination> {
        if self.get(id).is_none() {
            // It is made under the lock.
            drop(self.ids());
        }
        self.get(id)
    }

    /// The number of ids, the overflow one included.
    pub(super) fn len(&self) -> u32 {
        self.list.count() as u32
    }

    pub(super) fn bytes(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.list.count() > self.max as usize
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
