//! The tables and the summaries that may be labels.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use monitoring_core::database::Operation;
use monitoring_core::{Registry, Symbol};

use super::Shape;

/// How many summaries may be labels.
const MAX_SUMMARIES: usize = 500;

/// The longest name of a table, in bytes: that of PostgreSQL and MySQL.
const MAX_NAME_LEN: usize = 64;

/// What a shape is called in labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// The table, absent if the statement is not about one.
    pub(crate) collection: Symbol,
    pub(crate) summary: Symbol,
}

/// The names that were admitted so far; none is ever forgotten.
pub(super) struct Names {
    collections: Mutex<HashSet<Box<str>>>,
    summaries: Mutex<HashSet<Box<str>>>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { collections: Mutex::default(), summaries: Mutex::default() }
    }

    pub(super) fn admit(&self, registry: &Registry, shape: &Shape, max_collections: usize) -> Named {
        let other = registry.symbol(Operation::OTHER);
        let admitted = |names: &Mutex<HashSet<Box<str>>>, name: &str, max: usize| {
            let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = names.contains(name) || (names.len() < max && names.insert(name.into()));
            if fits { registry.symbol(name) } else { other }
        };
        let collection = match shape.collection() {
            None => Symbol::ABSENT,
            Some(name) if !is_plain(name) => other,
            Some(name) => admitted(&self.collections, name, max_collections),
        };
        Named { collection, summary: admitted(&self.summaries, shape.summary(), MAX_SUMMARIES) }
    }
}

/// Whether a name reads as one: neither too long nor with control characters.
fn is_plain(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN && !name.contains(char::is_control)
}
