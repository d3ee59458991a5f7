//! Label texts that are not known when compiling.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use crate::id_table::IdTable;

/// The number of different symbols of one registry.
const MAX_SYMBOLS: usize = 1 << 16;

/// The longest symbol, in bytes.
const MAX_LEN: usize = 256;

/// A text that can be a label's value, interned by [`Registry::symbol`](super::Registry::symbol): two bytes, `Copy`.
///
/// For texts that come from the program (route templates, pool names), never for what a user sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbol(u16);

impl Symbol {
    /// `__other__`: what a text becomes when the table is full, or when it is longer than 256 bytes.
    pub const OTHER: Self = Self(0);
    /// The empty text, which leaves its label away.
    pub const ABSENT: Self = Self(1);

    pub(super) fn index(self) -> u64 {
        u64::from(self.0)
    }
}

/// The symbols of a registry, up to 65 536 of at most 256 bytes.
pub struct Symbols {
    indices: IdTable,
    texts: boxcar::Vec<Box<str>>,
    /// Serialises insertion, which is rare.
    insertion: Mutex<()>,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        let symbols = Self { indices: IdTable::new(), texts: boxcar::Vec::new(), insertion: Mutex::new(()) };
        symbols.intern("__other__");
        symbols.intern("");
        symbols
    }

    /// The symbol of that text. A text that was seen before costs one hash of it, no lock and no allocation.
    pub(super) fn intern(&self, text: &str) -> Symbol {
        if text.len() > MAX_LEN {
            return Symbol::OTHER;
        }
        let key = rustc_hash::FxBuildHasher.hash_one(text);
        if let Some(symbol) = self.find(key, text) {
            return symbol;
        }
        // The table never shrinks: once it is full, a stranger costs no lock.
        if self.texts.count() >= MAX_SYMBOLS {
            return Symbol::OTHER;
        }
        // The lock guards no data that a panic could leave half-written.
        let _insertion = self.insertion.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(symbol) = self.find(key, text) {
            return symbol;
        }
        if self.texts.count() >= MAX_SYMBOLS {
            return Symbol::OTHER;
        }
        let Ok(index) = u16::try_from(self.texts.push(text.into())) else { return Symbol::OTHER };
        self.indices.insert(key, index.into());
        Symbol(index)
    }

    #[inline]
    fn find(&self, key: u64, text: &str) -> Option<Symbol> {
        let is_text = |index: u32| self.texts.get(index as usize).is_some_and(|found| **found == *text);
        self.indices.find(key, is_text).map(|index| Symbol(index as u16))
    }

    /// The symbol's text.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(usize::from(symbol.0)).map_or("__other__", |text| text)
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Symbols").field("count", &self.texts.count()).finish_non_exhaustive()
    }
}
