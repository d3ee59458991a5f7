//! The cells of a family: a row for each tenant or stripe, a cell for each combination, pages of cells made when first
//! used.
//!
//! ```text
//! row 7 ──► [page ids] ──► page 12 = one or more cache lines
//!              0 none        counters:   [live cells | c c c c c c c]
//!              n page n      histograms: [sum bucket … bucket +Inf]
//! ```
//! A cell, once made, never moves, so a record never waits. Everything that makes something takes one lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Pages that a row refers to itself: with them a row fills a cache line.
const INLINE_PAGES: usize = 10;

/// Pages that a row's directory refers to itself.
const NEAR_PAGES: usize = 32;

/// Pages in the first block of a directory; each later one has twice as many.
const FAR_PAGES: usize = 64;

/// Blocks of a directory: enough for a million combinations.
const FAR_BLOCKS: usize = 15;

/// Rows that are allocated together.
const ROWS_PER_BLOCK: usize = 16;

/// Words in a cache line.
const LINE: usize = 8;

/// Counters in a page: the first word of its line tells which of them are live.
const COUNTERS: u32 = LINE as u32 - 1;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// A page id that stands for no page: what belongs into it is folded into the overflow series, as it came after the
/// budget was used up.
const FOLDED: u32 = u32::MAX;

/// Where the bits of folded cells begin in the first word of a page of counters.
const FOLDED_BITS: u32 = 32;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    /// Live cells of this row.
    cells: AtomicU32,
    pages: [AtomicU32; INLINE_PAGES],
    /// The ids of the pages after those, made when first used.
    directory: OnceLock<Box<Directory>>,
}

/// Page ids of a row that uses many combinations.
#[derive(Debug, Default)]
struct Directory {
    near: [AtomicU32; NEAR_PAGES],
    far: [OnceLock<Box<[AtomicU32]>>; FAR_BLOCKS],
}

/// Where the id of a page is.
enum Place {
    Inline(usize),
    Near(usize),
    Far { block: usize, index: usize },
}

impl Place {
    #[inline]
    fn of(page: usize) -> Self {
        if page < INLINE_PAGES {
            return Self::Inline(page);
        }
        let page = page - INLINE_PAGES;
        if page < NEAR_PAGES {
            return Self::Near(page);
        }
        // Block n begins at FAR_PAGES * (2^n - 1).
        let page = page - NEAR_PAGES;
        let block = (page / FAR_PAGES + 1).ilog2() as usize;
        Self::Far { block, index: page - FAR_PAGES * ((1 << block) - 1) }
    }
}

impl Row {
    #[inline]
    fn page_id(&self, page: usize) -> Option<&AtomicU32> {
        match Place::of(page) {
            Place::Inline(index) => self.pages.get(index),
            Place::Near(index) => self.directory.get()?.near.get(index),
            Place::Far { block, index } => self.directory.get()?.far.get(block)?.get()?.get(index),
        }
    }

    fn make_page_id(&self, page: usize, made: &mut Made) -> Option<&AtomicU32> {
        let directory = |made: &mut Made| {
            self.directory.get_or_init(|| {
                made.bytes += size_of::<Directory>();
                Box::default()
            })
        };
        match Place::of(page) {
            Place::Inline(index) => self.pages.get(index),
            Place::Near(index) => directory(made).near.get(index),
            Place::Far { block, index } => {
                let ids = directory(made).far.get(block)?.get_or_init(|| {
                    let ids = FAR_PAGES << block;
                    made.bytes += ids * size_of::<AtomicU32>();
                    (0..ids).map(|_| AtomicU32::new(0)).collect()
                });
                ids.get(index)
            }
        }
    }

    /// The last page that can have an id, and one more.
    fn pages(&self) -> usize {
        let Some(directory) = self.directory.get() else { return INLINE_PAGES };
        let blocks = directory.far.iter().rposition(|block| block.get().is_some()).map_or(0, |last| last + 1);
        INLINE_PAGES + NEAR_PAGES + FAR_PAGES * ((1 << blocks) - 1)
    }
}

/// What a page of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Seven cells of one word.
    Counters {
        /// What the word is when the cell is made.
        initial: u64,
    },
    /// One cell of that many words.
    Cell {
        /// Its words.
        words: usize,
    },
}

impl Layout {
    const fn cells_per_page(self) -> u32 {
        match self {
            Self::Counters { .. } => COUNTERS,
            Self::Cell { .. } => 1,
        }
    }

    const fn lines_per_page(self) -> usize {
        match self {
            Self::Counters { .. } => 1,
            Self::Cell { words } => words.div_ceil(LINE),
        }
    }
}

/// The words of one series, found in a table.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    lines: &'a [Line],
    first: usize,
}

impl<'a> Cell<'a> {
    #[inline]
    pub(super) fn word(&self, index: usize) -> Option<&'a AtomicU64> {
        let index = self.first + index;
        self.lines.get(index / LINE)?.0.get(index % LINE)
    }

    /// The first word of a page of counters: a bit for each live cell, and one for each folded.
    #[inline]
    fn state(&self) -> Option<&'a AtomicU64> {
        self.lines.first()?.0.first()
    }
}

/// What a look-up found.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    /// A live cell.
    Live(Cell<'a>),
    /// A cell that was refused.
    Folded,
    /// Nothing yet.
    Missing,
}

/// The cells within the budget that exist when another one is wanted.
#[derive(Clone, Copy)]
pub(super) struct Occupancy {
    /// In the whole table.
    pub(super) table: usize,
    /// In the row.
    pub(super) row: usize,
}

#[derive(Debug)]
pub(super) struct Table {
    layout: Layout,
    rows: Box<[OnceLock<Box<[Row]>>]>,
    blocks: Box<[OnceLock<Box<[Line]>>]>,
    /// Pages in a block of lines, as a power of two.
    pages_per_block_log2: u32,
    creation: Mutex<Made>,
}

/// What exists, changed under the lock only.
#[derive(Debug, Default)]
struct Made {
    pages: u32,
    cells: usize,
    /// Those of the cells that a budget counts.
    within_budget: usize,
    bytes: usize,
}

impl Table {
    /// A table of at most `max_rows` rows and `max_pages` pages.
    pub(super) fn new(layout: Layout, max_rows: usize, max_pages: usize) -> Self {
        // About 16 KiB a block: small families stay small, and a full block wastes little.
        let pages_per_block_log2 = (256 / layout.lines_per_page()).max(1).ilog2();
        let blocks = (max_pages + 1).div_ceil(1 << pages_per_block_log2);
        Self {
            layout,
            rows: (0..max_rows.div_ceil(ROWS_PER_BLOCK)).map(|_| OnceLock::new()).collect(),
            blocks: (0..blocks).map(|_| OnceLock::new()).collect(),
            pages_per_block_log2,
            creation: Mutex::default(),
        }
    }

    /// The cell of that row and combination.
    #[inline]
    pub(super) fn find(&self, row: u32, combination: u32) -> Found<'_> {
        let (page, place) = self.split(combination);
        let Some(id) = self.row(row).and_then(|row| row.page_id(page)) else { return Found::Missing };
        let id = id.load(Ordering::Acquire);
        if id == FOLDED {
            return Found::Folded;
        }
        let Some(cell) = self.cell(id, place) else { return Found::Missing };
        match self.layout {
            Layout::Counters { .. } => {
                let state = cell.state().map_or(0, |state| state.load(Ordering::Acquire)) >> place;
                if state & 1 == 1 {
                    Found::Live(cell)
                } else if state >> FOLDED_BITS & 1 == 1 {
                    Found::Folded
                } else {
                    Found::Missing
                }
            }
            Layout::Cell { .. } => Found::Live(cell),
        }
    }

    /// Makes the cell of that row and combination if `admit` agrees; else it stays folded.
    #[cold]
    pub(super) fn create(&self, row: u32, combination: u32, admit: impl FnOnce(Occupancy) -> bool) -> Found<'_> {
        let mut made = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        match self.find(row, combination) {
            Found::Missing => {
                let found = self.make(row, combination, admit, &mut made).unwrap_or(Found::Missing);
                if let Found::Live(_) = found {
                    made.within_budget += 1;
                }
                found
            }
            found => found,
        }
    }

    /// Makes the cell of that row and combination, outside of any budget.
    #[cold]
    pub(super) fn create_beyond(&self, row: u32, combination: u32) -> Found<'_> {
        let mut made = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        match self.find(row, combination) {
            Found::Missing => self.make(row, combination, |_| true, &mut made).unwrap_or(Found::Missing),
            found => found,
        }
    }

    /// The cell of a row that has no budget, made if need be.
    #[inline]
    pub(super) fn find_or_create_beyond(&self, row: u32, combination: u32) -> Found<'_> {
        match self.find(row, combination) {
            Found::Missing => self.create_beyond(row, combination),
            found => found,
        }
    }

    fn make(
        &self,
        row: u32,
        combination: u32,
        admit: impl FnOnce(Occupancy) -> bool,
        made: &mut Made,
    ) -> Option<Found<'_>> {
        let (page, place) = self.split(combination);
        let row = self.make_row(row, made)?;
        let id = row.make_page_id(page, made)?;
        let occupancy = Occupancy { table: made.within_budget, row: row.cells.load(Ordering::Relaxed) as usize };
        let admitted = admit(occupancy);
        if id.load(Ordering::Relaxed) == 0 {
            if !admitted {
                id.store(FOLDED, Ordering::Release);
                return Some(Found::Folded);
            }
            let next = made.pages + 1;
            self.make_block(next, made)?;
            made.pages = next;
            id.store(next, Ordering::Release);
        }
        let cell = self.cell(id.load(Ordering::Relaxed), place)?;
        if let Layout::Counters { initial } = self.layout {
            if admitted {
                cell.word(0)?.store(initial, Ordering::Relaxed);
            }
            let bit = if admitted { place } else { place + FOLDED_BITS };
            cell.state()?.fetch_or(1 << bit, Ordering::Release);
        }
        if !admitted {
            return Some(Found::Folded);
        }
        made.cells += 1;
        row.cells.fetch_add(1, Ordering::Release);
        Some(Found::Live(cell))
    }

    /// The live cells.
    pub(super) fn cells(&self) -> usize {
        self.creation.lock().unwrap_or_else(PoisonError::into_inner).cells
    }

    /// The memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let made = self.creation.lock().unwrap_or_else(PoisonError::into_inner).bytes;
        made + size_of_val(&*self.rows) + size_of_val(&*self.blocks)
    }

    /// The first row from `row` on that may hold cells.
    pub(super) fn next_made_row(&self, row: u32) -> Option<u32> {
        let block = row as usize / ROWS_PER_BLOCK;
        let (skipped, rows) = self.rows.iter().skip(block).enumerate().find(|(_, rows)| rows.get().is_some())?;
        let first = ((block + skipped) * ROWS_PER_BLOCK) as u32;
        let next = first.max(row);
        (next < first + rows.get()?.len() as u32).then_some(next)
    }

    /// The first combination from `combination` on whose cell in that row is live: pages that were never made cost one
    /// look each, a row without cells none.
    pub(super) fn next_live(&self, row: u32, combination: u32) -> Option<(u32, Cell<'_>)> {
        let found = self.row(row).filter(|row| row.cells.load(Ordering::Acquire) > 0)?;
        let cells = self.layout.cells_per_page();
        let (first, place) = self.split(combination);
        (first..found.pages()).find_map(|page| {
            let id = found.page_id(page)?.load(Ordering::Acquire);
            if id == 0 || id == FOLDED {
                return None;
            }
            let places = if page == first { place..cells } else { 0..cells };
            places.map(|place| page as u32 * cells + place).find_map(|combination| match self.find(row, combination) {
                Found::Live(cell) => Some((combination, cell)),
                Found::Folded | Found::Missing => None,
            })
        })
    }

    #[inline]
    fn split(&self, combination: u32) -> (usize, u32) {
        let cells = self.layout.cells_per_page();
        ((combination / cells) as usize, combination % cells)
    }

    #[inline]
    fn row(&self, row: u32) -> Option<&Row> {
        self.rows.get(row as usize / ROWS_PER_BLOCK)?.get()?.get(row as usize % ROWS_PER_BLOCK)
    }

    #[inline]
    fn cell(&self, page: u32, place: u32) -> Option<Cell<'_>> {
        if page == 0 {
            return None;
        }
        let block = self.blocks.get((page >> self.pages_per_block_log2) as usize)?.get()?;
        let lines = self.layout.lines_per_page();
        let first = (page as usize & ((1 << self.pages_per_block_log2) - 1)) * lines;
        let lines = block.get(first..first + lines)?;
        match self.layout {
            Layout::Counters { .. } => Some(Cell { lines, first: place as usize + 1 }),
            Layout::Cell { .. } => Some(Cell { lines, first: 0 }),
        }
    }

    fn make_row(&self, row: u32, made: &mut Made) -> Option<&Row> {
        let rows = self.rows.get(row as usize / ROWS_PER_BLOCK)?.get_or_init(|| {
            made.bytes += ROWS_PER_BLOCK * size_of::<Row>();
            (0..ROWS_PER_BLOCK).map(|_| Row::default()).collect()
        });
        rows.get(row as usize % ROWS_PER_BLOCK)
    }

    fn make_block(&self, page: u32, made: &mut Made) -> Option<()> {
        let lines = self.layout.lines_per_page() << self.pages_per_block_log2;
        self.blocks.get((page >> self.pages_per_block_log2) as usize)?.get_or_init(|| {
            made.bytes += lines * size_of::<Line>();
            (0..lines).map(|_| Line::default()).collect()
        });
        Some(())
    }
}
