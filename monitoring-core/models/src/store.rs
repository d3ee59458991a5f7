//! A family of two words a series, that records and reads as those of the store do.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use crate::addition::Addition;
use crate::budget::{Budget, Bytes, CardinalityBudget};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::table::{Admission, Cell, Layout, Table, header};

/// The row of `__other__`, where everything goes that is refused.
pub(crate) const OTHER: u32 = 0;

/// The combination whose page is the first that a row has no place for in itself: it is in the first of four leaves.
pub(crate) const FIRST_IN_RUN: u32 = 13;

/// A combination whose page is in the fifth leaf, which needs a longer run.
pub(crate) const PAST_THE_RUN: u32 = FIRST_IN_RUN + 4 * 16;

/// The tier of a row's tenant: those of odd rows are free, those of even ones pay.
pub(crate) const fn tier(row: u32) -> usize {
    if row % 2 == 1 { 0 } else { 1 }
}

/// A table without cells.
pub(crate) fn table(layout: Layout, bytes: Bytes) -> Table {
    Table::new(layout, 4, 8, 100, bytes)
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) table: Table,
    budget: Budget,
    /// Records that were refused.
    pub(crate) overflow: AtomicU64,
}

impl Store {
    /// Without limits; a page for each cell.
    pub(crate) fn of_pages() -> Arc<Self> {
        let layout = Layout::Cell { words: 2 };
        Self::new(layout, CardinalityBudget::default(), Bytes::new(usize::MAX))
    }

    /// Without limits; seven cells, of one word each, in a page.
    pub(crate) fn of_counters() -> Arc<Self> {
        let layout = Layout::Counters { initial: 0 };
        Self::new(layout, CardinalityBudget::default(), Bytes::new(usize::MAX))
    }

    pub(crate) fn new(layout: Layout, budget: CardinalityBudget, bytes: Bytes) -> Arc<Self> {
        let table = table(layout, bytes);
        table.create(OTHER, 0, &Admission::Required, 0).unwrap();
        Arc::new(Self { table, budget: Budget::new(budget, 3), overflow: AtomicU64::new(0) })
    }

    pub(crate) fn spawn(self: &Arc<Self>, run: impl FnOnce(&Self) + 'static) -> JoinHandle<()> {
        let store = Arc::clone(self);
        thread::spawn(move || run(&store))
    }

    fn words(&self) -> usize {
        match self.table.layout {
            Layout::Counters { .. } => 1,
            Layout::Cell { words } => words,
        }
    }

    /// Adds to the first word of a cell, and one to the other if there is one.
    pub(crate) fn record(&self, row: u32, combination: u32, amount: u64) {
        let addition = match self.table.layout {
            Layout::Counters { .. } => Addition::of_counter(amount),
            Layout::Cell { .. } => Addition::of_histogram(amount, 0, 0),
        };
        if let Some(cell) = self.table.find(row, combination)
            && self.counts(addition, &cell)
        {
            return;
        }
        while let Some(cell) = self.cell(row, combination) {
            if self.counts(addition, &cell) {
                return;
            }
        }
    }

    /// Adds to a cell; `false` if that did not count, because the series had ended.
    fn counts(&self, addition: Addition, cell: &Cell<'_>) -> bool {
        assert!(addition.apply(cell));
        cell.is_current() || self.table.settle(cell, || addition.undo(cell))
    }

    fn cell(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        let admits = |cells| self.budget.admits(tier(row), cells);
        let own = self.table.find(row, combination);
        let own = own.or_else(|| self.table.create(row, combination, &Admission::Budget(tier(row), &admits), 0).ok());
        own.or_else(|| {
            self.overflow.fetch_add(1, Ordering::Relaxed);
            let shared = self.table.find(OTHER, combination);
            shared.or_else(|| self.table.create(OTHER, combination, &Admission::Bytes, 0).ok())
        })
        // What has found no room, not even in the shared row.
        .or_else(|| self.table.find(OTHER, 0))
    }

    /// The words of a series; `None` if there is none, or it ends while it is read.
    pub(crate) fn read(&self, row: u32, combination: u32) -> Option<Vec<u64>> {
        let cell = self.table.find_to_read(row, combination)?;
        let mut words: Vec<_> =
            (0..self.words()).rev().map(|index| cell.word(index).unwrap().load(Ordering::Acquire)).collect();
        words.reverse();
        fence(Ordering::Acquire);
        cell.is_current().then_some(words)
    }

    /// The first word of a series; zero if there is none.
    pub(crate) fn value(&self, row: u32, combination: u32) -> u64 {
        self.read(row, combination).map_or(0, |words| words[0])
    }

    /// How often a page has ended.
    pub(crate) fn ends(&self, page: u32) -> u64 {
        let header = self.table.pages.get(page).unwrap().header().unwrap();
        header.load(Ordering::Relaxed) >> header::GENERATION_SHIFT
    }
}
