//! Which pages a row has.
//!
//! ```text
//! row 7 ──► ids of pages 0 to 12
//!       ──► run of leaf ids ──► leaf: ids of 16 pages
//! ```
//! The first ids are in the row's own cache line. The others are in leaves, made when first used, so that a row pays for
//! the pages that it has and not for the highest one. Runs are replaced by longer ones; who reads an old run finds what
//! was there then, and the header of the page tells.

use std::collections::BTreeMap;

use super::blocks::Blocks;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Pages whose ids are in the row itself.
const PAGES_IN_ROW: u32 = 13;

/// Pages whose ids are in a leaf.
const PAGES_IN_LEAF: u32 = 16;

/// Leaf ids in the runs of all rows together, at most.
const MAX_INDEX: usize = 1 << 24;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    /// Where the run begins in the index, and how long it is: 32 bits each.
    run: AtomicU64,
    /// The live cells that a budget counts.
    cells: AtomicU32,
    /// Zero where there is no page.
    pages: [AtomicU32; PAGES_IN_ROW as usize],
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Leaf([AtomicU32; PAGES_IN_LEAF as usize]);

/// The page ids of all rows.
#[derive(Debug)]
pub(super) struct Directory {
    rows: Blocks<Row>,
    /// The runs: zero where there is no leaf.
    index: Blocks<AtomicU32>,
    leaves: Blocks<Leaf>,
}

/// What of a directory is in use, changed under the table's lock only.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// The elements of the index that were ever used.
    index: u32,
    leaves: u32,
    /// Runs that were replaced by longer ones: where they begin, by length.
    free_runs: BTreeMap<u32, Vec<u32>>,
}

/// What must be made so that a row can have a page.
pub(super) struct Plan {
    pub(super) row: u32,
    pub(super) page: u32,
    /// A longer run: where it begins, and its length.
    run: Option<(u32, u32)>,
    has_new_leaf: bool,
    /// The bytes that it takes.
    pub(super) cost: usize,
}

impl Directory {
    /// For rows up to `max_row`, of at most `max_pages` pages each and `all_pages` together.
    pub(super) fn new(max_row: usize, max_pages: usize, all_pages: usize) -> Self {
        let leaves_of_row = max_pages / PAGES_IN_LEAF as usize + 1;
        let leaves = all_pages.min(leaves_of_row.saturating_mul(max_row.saturating_add(1)));
        // All the runs that a row ever had are five times the last: each is a quarter longer than the one before.
        let index = leaves_of_row.saturating_add(4).saturating_mul(6).saturating_mul(max_row.saturating_add(1));
        Self { rows: Blocks::new(max_row), index: Blocks::new(index.min(MAX_INDEX)), leaves: Blocks::new(leaves + 1) }
    }

    /// The id of a page of a row, if it has one; perhaps out of date.
    #[inline(always)]
    pub(super) fn page(&self, row: u32, page: u32) -> Option<u32> {
        let id = self.place(row, page)?.load(Ordering::Acquire);
        (id != 0).then_some(id)
    }

    /// Where the id of a page is.
    #[inline(always)]
    fn place(&self, row: u32, page: u32) -> Option<&AtomicU32> {
        let row = self.rows.get(row)?;
        match row.pages.get(page as usize) {
            Some(id) => Some(id),
            None => self.place_in_leaf(row, page - PAGES_IN_ROW),
        }
    }

    #[inline]
    fn place_in_leaf(&self, row: &Row, page: u32) -> Option<&AtomicU32> {
        let leaf = self.leaf(row, page / PAGES_IN_LEAF)?.load(Ordering::Acquire);
        if leaf == 0 {
            return None;
        }
        self.leaves.get(leaf)?.0.get((page % PAGES_IN_LEAF) as usize)
    }

    /// Where the id of a leaf is.
    #[inline]
    fn leaf(&self, row: &Row, leaf: u32) -> Option<&AtomicU32> {
        let run = row.run.load(Ordering::Acquire);
        if leaf < run as u32 { self.index.get((run >> 32) as u32 + leaf) } else { None }
    }

    /// What tells that the run of a row was replaced.
    pub(super) fn run(&self, row: u32) -> u64 {
        self.rows.get(row).map_or(0, |row| row.run.load(Ordering::Acquire))
    }

    /// So many pages of a row from that one on, and their ids; perhaps out of date.
    pub(super) fn pages(&self, row: u32, first: u32, count: u32) -> impl Iterator<Item = (u32, u32)> {
        let has_row = self.rows.get(row).is_some();
        let end = if has_row { PAGES_IN_ROW + self.run(row) as u32 * PAGES_IN_LEAF } else { 0 };
        let pages = first..end.min(first.saturating_add(count));
        pages.filter_map(move |page| Some((page, self.page(row, page)?)))
    }

    /// The first row from `row` on that may have pages.
    pub(super) fn next_made_row(&self, row: u32) -> Option<u32> {
        self.rows.next_made(row)
    }

    /// The live cells of a row that a budget counts.
    #[inline]
    pub(super) fn cells(&self, row: u32) -> usize {
        self.rows.get(row).map_or(0, |row| row.cells.load(Ordering::Relaxed)) as usize
    }

    /// There is another cell in that row. The lock is held.
    pub(super) fn add_cell(&self, row: u32) {
        if let Some(row) = self.rows.get(row) {
            row.cells.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There are so many cells less. The lock is held.
    pub(super) fn remove_cells(&self, row: u32, cells: u32) {
        if let Some(row) = self.rows.get(row) {
            row.cells.fetch_sub(cells, Ordering::Relaxed);
        }
    }

    /// Says which page a row has in that place; zero for none. The lock is held.
    pub(super) fn link(&self, row: u32, page: u32, id: u32) {
        if let Some(place) = self.place(row, page) {
            place.store(id, Ordering::Release);
        }
    }

    /// What must be made so that a row can have a page; `None` if there is no place for it. The lock is held.
    pub(super) fn plan(&self, row: u32, page: u32, used: &Used) -> Option<Plan> {
        let mut plan = Plan { row, page, run: None, has_new_leaf: false, cost: self.rows.cost(row)? };
        let Some(page) = page.checked_sub(PAGES_IN_ROW) else { return Some(plan) };
        let found = self.rows.get(row);
        let leaf = page / PAGES_IN_LEAF;
        let length = found.map_or(0, |row| row.run.load(Ordering::Relaxed) as u32);
        if leaf >= length {
            let longer = (leaf + 1).max(length + length / 4).next_multiple_of(4);
            let start = used.run_of(longer);
            plan.cost += self.index.cost_of(start, longer)?;
            plan.run = Some((start, longer));
        }
        let has_leaf = found.and_then(|row| self.leaf(row, leaf)).is_some_and(|leaf| leaf.load(Ordering::Relaxed) != 0);
        if !has_leaf {
            plan.cost += self.leaves.cost(used.leaves + 1)?;
            plan.has_new_leaf = true;
        }
        Some(plan)
    }

    /// Makes what was planned. The lock was held since.
    pub(super) fn make(&self, plan: &Plan, used: &mut Used) -> Option<()> {
        let row = self.rows.make(plan.row)?;
        if let Some((start, longer)) = plan.run {
            used.take_run(start, longer)?;
            let run = row.run.load(Ordering::Relaxed);
            let (old_start, length) = ((run >> 32) as u32, run as u32);
            for place in 0..longer {
                let leaf = if place < length { self.index.get(old_start + place)?.load(Ordering::Relaxed) } else { 0 };
                self.index.make(start + place)?.store(leaf, Ordering::Release);
            }
            row.run.store(u64::from(start) << 32 | u64::from(longer), Ordering::Release);
            if length > 0 {
                used.free_run(old_start, length);
            }
        }
        if plan.has_new_leaf {
            used.leaves += 1;
            self.leaves.make(used.leaves)?;
            let leaf = (plan.page - PAGES_IN_ROW) / PAGES_IN_LEAF;
            self.leaf(row, leaf)?.store(used.leaves, Ordering::Release);
        }
        Some(())
    }

    /// What the lists of blocks take.
    pub(super) fn own_bytes(&self) -> usize {
        self.rows.own_bytes() + self.index.own_bytes() + self.leaves.own_bytes()
    }
}

impl Used {
    /// Where a run of that length would begin: in a free one, or past all others.
    fn run_of(&self, length: u32) -> u32 {
        let free = self.free_runs.range(length..).find_map(|(_, starts)| starts.last());
        free.copied().unwrap_or(self.index)
    }

    /// Takes the run that [`run_of`](Self::run_of) gave; what is left of a longer one stays free.
    fn take_run(&mut self, start: u32, length: u32) -> Option<()> {
        if start == self.index {
            self.index = self.index.checked_add(length)?;
            return Some(());
        }
        let (&found, starts) = self.free_runs.range_mut(length..).find(|(_, starts)| starts.last() == Some(&start))?;
        starts.pop();
        if starts.is_empty() {
            self.free_runs.remove(&found);
        }
        if found > length {
            self.free_run(start + length, found - length);
        }
        Some(())
    }

    fn free_run(&mut self, start: u32, length: u32) {
        self.free_runs.entry(length).or_default().push(start);
    }
}
