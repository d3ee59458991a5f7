//! What statements have in common that differ in literals only.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use monitoring_core::database::System;

use super::names::Named;
use super::parse::Parsed;

/// How many shapes keep their text.
const MAX_TEXTS: usize = 2_048;

/// How many shapes there can be; those past [`MAX_TEXTS`] are told apart by their summary alone.
const MAX_SHAPES: usize = 4_096;

/// The number of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShapeId(usize);

/// A statement without its literals.
pub(crate) struct Shape {
    collection: Option<Box<str>>,
    summary: Box<str>,
    text: Option<Box<str>>,
    is_select: bool,
    /// Set when the database has understood a statement of this shape.
    named: OnceLock<Named>,
}

impl Shape {
    /// The table that the statement is about, if it is one.
    pub(crate) fn collection(&self) -> Option<&str> {
        self.collection.as_deref()
    }

    /// The operations and tables, such as `INSERT invoice SELECT draft`.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// The text without literals, if it is kept.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether it is one `SELECT` that changes nothing.
    pub(crate) fn is_select(&self) -> bool {
        self.is_select
    }

    /// What it is called in labels. When it has no names yet, `name` gives them if it `is_understood`.
    pub(super) fn named(&self, is_understood: bool, name: impl FnOnce(&Self) -> Named) -> Option<Named> {
        match self.named.get() {
            Some(named) => Some(*named),
            None if is_understood => Some(*self.named.get_or_init(|| name(self))),
            None => None,
        }
    }
}

/// All shapes; none is ever forgotten.
pub(super) struct Shapes {
    list: boxcar::Vec<Shape>,
    /// Also serialises insertion, which is rare.
    index: Mutex<HashMap<Key, ShapeId>>,
}

/// The system, the summary and the text.
type Key = (System, Box<str>, Option<Box<str>>);

impl Shapes {
    pub(super) fn new() -> Self {
        Self { list: boxcar::Vec::new(), index: Mutex::default() }
    }

    pub(super) fn get(&self, id: ShapeId) -> Option<&Shape> {
        self.list.get(id.0)
    }

    /// The shape of a statement, if it has one that is worth keeping and there is room.
    pub(super) fn intern(&self, system: System, parsed: Parsed) -> Option<ShapeId> {
        let Parsed { collection, summary, mut text, is_select, operation: _ } = parsed;
        let summary = summary?;
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (system, summary, text.clone());
        if let Some(id) = index.get(&key) {
            return Some(*id);
        }
        if index.len() >= MAX_TEXTS {
            text = None;
            key.2 = None;
            if let Some(id) = index.get(&key) {
                return Some(*id);
            }
        }
        if index.len() >= MAX_SHAPES {
            return None;
        }
        let shape = Shape { collection, summary: key.1.clone(), text, is_select, named: OnceLock::new() };
        let id = ShapeId(self.list.push(shape));
        index.insert(key, id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(table: &str, text: &str) -> Parsed {
        Parsed {
            operation: None,
            collection: Some(table.into()),
            summary: Some(format!("SELECT {table}").into()),
            text: Some(text.into()),
            is_select: true,
        }
    }

    #[test]
    fn when_there_are_too_many_texts_shapes_are_told_apart_by_their_summary() {
        let shapes = Shapes::new();
        for number in 0..MAX_TEXTS {
            let id = shapes.intern(System::Sqlite, parsed("item", &number.to_string())).unwrap();
            assert_eq!(shapes.get(id).unwrap().text(), Some(number.to_string().as_str()));
        }
        let [one, two] = ["one", "two"].map(|text| shapes.intern(System::Sqlite, parsed("item", text)).unwrap());
        assert_eq!(one, two);
        assert_eq!(shapes.get(one).unwrap().text(), None);
        assert_eq!(shapes.get(one).unwrap().collection(), Some("item"));
        // What was there before keeps its text.
        let known = shapes.intern(System::Sqlite, parsed("item", "7")).unwrap();
        assert_eq!(shapes.get(known).unwrap().text(), Some("7"));
    }

    #[test]
    fn there_is_a_last_shape() {
        let shapes = Shapes::new();
        let made = (0..10_000).filter_map(|number| shapes.intern(System::Sqlite, parsed(&number.to_string(), "")));
        assert_eq!(made.count(), MAX_SHAPES);
    }
}
