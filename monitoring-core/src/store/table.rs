//! The cells of a family: a row for each tenant or stripe, a cell for each combination, pages of cells made when first
//! used.
//!
//! ```text
//! row 7 ──► page ids (`directory.rs`) ──► page 12: counters   [header c c c c c c c]
//!                                                  histograms [header sum bucket … bucket +Inf]
//! ```
//! A page, once made, never moves, so a record never waits. Its header says whose it is, and is looked at before a record
//! and after: what is found on the way there may be out of date, and then the record begins anew under the lock. That is
//! what lets runs be replaced by longer ones, and pages go to others when their series have ended (`expiry.rs`).
//! Everything that makes something takes one lock.

use super::blocks::Blocks;
use super::budget::{Bytes, TIERS};
use super::directory::{Directory, Plan, Used};
use super::pages::{LINE, Page, Pages};
use super::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, order_accesses};

/// Counters in a page: the first word of its line is the header.
const COUNTERS_PER_PAGE: u32 = LINE as u32 - 1;

/// The bits of a header: which cells of the page are live, whether the page is about to end, the page's place in its row,
/// the row, and how often it has changed hands.
pub(super) mod header {
    pub(in super::super) const LIVE: u64 = 0x7F;
    pub(in super::super) const RETIRED: u64 = 1 << 7;
    pub(in super::super) const PAGE_SHIFT: u32 = 8;
    pub(in super::super) const ROW_SHIFT: u32 = 29;
    pub(in super::super) const GENERATION_SHIFT: u32 = 53;
    /// Whose the page is.
    pub(in super::super) const OWNER: u64 = (1 << GENERATION_SHIFT) - (1 << PAGE_SHIFT);
    pub(in super::super) const GENERATION: u64 = !((1 << GENERATION_SHIFT) - 1);
    /// Rows that there can be.
    pub(in super::super) const MAX_ROWS: usize = 1 << (GENERATION_SHIFT - ROW_SHIFT);
    /// Pages that a row can have.
    pub(in super::super) const MAX_PAGES: u32 = 1 << (ROW_SHIFT - PAGE_SHIFT);

    pub(in super::super) const fn owner(row: u32, page: u32) -> u64 {
        (row as u64) << ROW_SHIFT | (page as u64) << PAGE_SHIFT
    }

    pub(in super::super) const fn row(header: u64) -> u32 {
        ((header & OWNER) >> ROW_SHIFT) as u32
    }

    pub(in super::super) const fn page(header: u64) -> u32 {
        (header >> PAGE_SHIFT) as u32 & (MAX_PAGES - 1)
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
            Self::Counters { .. } => COUNTERS_PER_PAGE,
            Self::Cell { .. } => 1,
        }
    }

    /// The words of a page after its header.
    const fn words_per_page(self) -> usize {
        match self {
            Self::Counters { .. } => COUNTERS_PER_PAGE as usize,
            Self::Cell { words } => words,
        }
    }
}

/// The words of one series, found in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    page: Page<'a>,
    /// The place of its first word.
    first: usize,
    /// What the header must be, under the mask, for the cell to be that of the series.
    expected: u64,
    mask: u64,
}

impl<'a> Cell<'a> {
    #[inline]
    pub(super) fn word(&self, index: usize) -> Option<&'a AtomicU64> {
        self.page.word(self.first + index)
    }

    /// Whether what was added to the cell since it was found belongs to its series. Sequentially consistent, as the
    /// additions are: see `expiry.rs`.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        order_accesses();
        self.page.header().is_some_and(|header| header.load(Ordering::SeqCst) & self.mask == self.expected)
    }
}

/// The cells within the budget that exist when another one is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occupancy {
    /// In the whole table, by the tier of their tenants.
    pub(super) by_tier: [usize; TIERS],
    /// In the row.
    pub(super) row: usize,
}

impl Occupancy {
    pub(super) fn table(&self) -> usize {
        self.by_tier.iter().sum()
    }
}

/// Why there is no new cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The tenant has all that it may have.
    Tenant,
    /// So have the tenants of its tier together.
    Tier,
    /// The bytes are used up.
    Bytes,
    /// There is no place for it in the table.
    Place,
}

/// What a new cell is weighed against.
pub(super) enum Admission<'a> {
    /// A budget, and the tier of the tenant.
    Budget(usize, &'a dyn Fn(Occupancy) -> Result<(), Refusal>),
    /// The bytes that there are: for the rows that have no budget.
    Bytes,
    /// Nothing: for the one cell that there must be.
    Required,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) layout: Layout,
    pub(super) directory: Directory,
    pub(super) pages: Pages,
    /// When a page was made, in seconds since the table was.
    starts: Blocks<AtomicU32>,
    pub(super) bytes: Bytes,
    made: Mutex<Made>,
    /// Threads that wait for the lock: it is not fair by itself. No part of what is modelled.
    waiting: std::sync::atomic::AtomicU32,
}

/// What exists, changed under the lock only.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The page ids that were ever used.
    pub(super) pages: u32,
    pub(super) cells: usize,
    /// Those of the cells that a budget counts, by tier.
    pub(super) by_tier: [usize; TIERS],
    bytes: usize,
    directory: Used,
    /// Pages that can be used again.
    pub(super) free_pages: Vec<u32>,
    pub(super) expiry: super::expiry::Expiry,
}

impl Table {
    /// A table of at most `max_rows` rows and `max_pages` pages, for combinations up to `max_combinations`.
    pub(super) fn new(layout: Layout, max_rows: usize, max_pages: usize, max_combinations: u32, bytes: Bytes) -> Self {
        let max_rows = max_rows.min(header::MAX_ROWS) - 1;
        let pages_of_row = (max_combinations / layout.cells_per_page()) as usize + 1;
        let table = Self {
            layout,
            directory: Directory::new(max_rows, pages_of_row, max_pages),
            pages: Pages::new(layout.words_per_page(), max_pages + 1),
            starts: Blocks::new(max_pages + 1),
            bytes,
            made: Mutex::default(),
            waiting: std::sync::atomic::AtomicU32::new(0),
        };
        table.bytes.take_anyway(table.own_bytes());
        table
    }

    pub(super) fn made(&self) -> MutexGuard<'_, Made> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        made
    }

    /// Lets those who wait for the lock have it first, as long as that takes no time to speak of.
    pub(super) fn let_others(&self) {
        for _ in 0..100 {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// The cell of that row and combination, to record into.
    #[inline]
    pub(super) fn find(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        match self.layout {
            Layout::Counters { .. } => self.find_in::<true>(row, combination),
            Layout::Cell { .. } => self.find_in::<false>(row, combination),
        }
    }

    /// The same for who knows the layout: that of counters, or the other one.
    #[inline(always)]
    pub(super) fn find_in<const COUNTERS: bool>(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        if COUNTERS {
            let (page, place) = (combination / COUNTERS_PER_PAGE, combination % COUNTERS_PER_PAGE);
            Self::current(self.pages.get_line(self.directory.page(row, page)?)?, row, page, place)
        } else {
            Self::current(self.pages.get(self.directory.page(row, combination)?)?, row, combination, 0)
        }
    }

    #[inline(always)]
    fn current(lines: Page<'_>, row: u32, page: u32, place: u32) -> Option<Cell<'_>> {
        let bit = 1 << place;
        let cell = Cell {
            page: lines,
            first: place as usize + 1,
            expected: header::owner(row, page) | bit,
            mask: header::OWNER | header::RETIRED | bit,
        };
        (lines.header()?.load(Ordering::Acquire) & cell.mask == cell.expected).then_some(cell)
    }

    /// The cell of that row and combination, made if need be and if it is admitted.
    #[cold]
    pub(super) fn create(
        &self,
        row: u32,
        combination: u32,
        admission: &Admission<'_>,
        now: u32,
    ) -> Result<Cell<'_>, Refusal> {
        let mut made = self.made();
        self.revive(row, self.split(combination).0, &mut made);
        match self.find(row, combination) {
            Some(cell) => Ok(cell),
            None => self.make(row, combination, admission, now, &mut made),
        }
    }

    /// The cell of that row and combination, if it exists and was about to end: it does not, now.
    pub(super) fn revived(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        let (page, place) = self.split(combination);
        let header = self.pages.get(self.directory.page(row, page)?)?.header()?.load(Ordering::Acquire);
        // Most often there is nothing to revive, and no need for the lock; or another thread has just made the cell.
        if header & header::RETIRED == 0 || (header >> place) & 1 == 0 {
            return self.find(row, combination);
        }
        let mut made = self.made();
        self.revive(row, self.split(combination).0, &mut made);
        self.find(row, combination)
    }

    /// Whether what was added to a cell that is no longer current counts all the same; if not, `undo` takes it away.
    #[cold]
    pub(super) fn settle(&self, cell: &Cell<'_>, undo: impl FnOnce()) -> bool {
        let mut made = self.made();
        self.revive(header::row(cell.expected), header::page(cell.expected), &mut made);
        let is_current = cell.is_current();
        if !is_current {
            undo();
        }
        is_current
    }

    fn make(
        &self,
        row: u32,
        combination: u32,
        admission: &Admission<'_>,
        now: u32,
        made: &mut Made,
    ) -> Result<Cell<'_>, Refusal> {
        let (page, place) = self.split(combination);
        if row as usize >= header::MAX_ROWS || page >= header::MAX_PAGES {
            return Err(Refusal::Place);
        }
        if let Admission::Budget(_, admits) = admission {
            admits(Occupancy { by_tier: made.by_tier, row: self.occupancy(row) })?;
        }
        let id = match self.directory.page(row, page) {
            Some(id) => id,
            None => self.make_page(row, page, admission, now, made)?,
        };
        self.enliven(row, page, id, place).ok_or(Refusal::Place)?;
        made.cells += 1;
        if let Admission::Budget(tier, _) = admission {
            self.directory.add_cell(row);
            let tier = made.expiry.count(id, *tier);
            if let Some(cells) = made.by_tier.get_mut(tier) {
                *cells += 1;
            }
        }
        self.find(row, combination).ok_or(Refusal::Place)
    }

    /// Makes a cell of a page live.
    fn enliven(&self, row: u32, page: u32, id: u32, place: u32) -> Option<()> {
        let found = self.pages.get(id)?;
        let header = found.header()?;
        if header.load(Ordering::Relaxed) & header::OWNER != header::owner(row, page) {
            return None;
        }
        if let Layout::Counters { initial: initial @ 1.. } = self.layout {
            found.word(place as usize + 1)?.store(initial, Ordering::Relaxed);
        }
        header.fetch_or(1 << place, Ordering::Release);
        Some(())
    }

    fn make_page(
        &self,
        row: u32,
        page: u32,
        admission: &Admission<'_>,
        now: u32,
        made: &mut Made,
    ) -> Result<u32, Refusal> {
        let id = made.free_pages.last().copied().unwrap_or(made.pages + 1);
        // All places are looked at before anything is taken: what is taken is then made.
        let plan = self.directory.plan(row, page, &made.directory).ok_or(Refusal::Place)?;
        let places = [Some(plan.cost), self.pages.cost(id), self.starts.cost(id)];
        let mut cost = places.into_iter().sum::<Option<usize>>().ok_or(Refusal::Place)?;
        if let Admission::Budget(..) = admission {
            cost += made.expiry.cost(id);
        }
        if let Admission::Required = admission {
            self.bytes.take_anyway(cost);
        } else if !self.bytes.take(made.bytes, cost) {
            return Err(Refusal::Bytes);
        }
        made.bytes += cost;
        self.make_planned(&plan, id, now, made).ok_or(Refusal::Place)?;
        self.directory.link(row, page, id);
        Ok(id)
    }

    fn make_planned(&self, plan: &Plan, id: u32, now: u32, made: &mut Made) -> Option<()> {
        self.directory.make(plan, &mut made.directory)?;
        let header = self.pages.make(id)?.header()?;
        self.starts.make(id)?.store(now, Ordering::Relaxed);
        if made.free_pages.pop().is_none() {
            made.pages = id;
        }
        let generation = header.load(Ordering::Relaxed) & header::GENERATION;
        header.store(generation | header::owner(plan.row, plan.page), Ordering::Release);
        Some(())
    }

    /// The page in that place is not to end, because it is wanted. The lock is held.
    fn revive(&self, row: u32, page: u32, made: &mut Made) {
        let Some(id) = self.directory.page(row, page) else { return };
        let Some(header) = self.pages.get(id).and_then(|page| page.header()) else { return };
        let is_retired = header::OWNER | header::RETIRED;
        if header.load(Ordering::Relaxed) & is_retired == header::owner(row, page) | header::RETIRED {
            header.fetch_and(!header::RETIRED, Ordering::SeqCst);
            made.expiry.revive(id);
        }
    }

    /// Takes cells of a row away from what is counted. The lock is held.
    pub(super) fn discount(&self, row: u32, tier: usize, cells: u32, made: &mut Made) {
        made.cells -= cells as usize;
        if let Some(of_tier) = made.by_tier.get_mut(tier) {
            *of_tier -= cells as usize;
        }
        self.directory.remove_cells(row, cells);
    }

    /// Ends a cell at once: for what is set, not added to, and so cannot lose anything.
    pub(super) fn remove(&self, row: u32, combination: u32) {
        let (page, place) = self.split(combination);
        let mut made = self.made();
        let Some(id) = self.directory.page(row, page) else { return };
        if let Some(header) = self.find(row, combination).and_then(|cell| cell.page.header()) {
            header.fetch_and(!(1 << place), Ordering::Release);
            match made.expiry.tier(id) {
                Some(tier) => self.discount(row, tier, 1, &mut made),
                None => made.cells -= 1,
            }
        }
    }

    /// The row and the combination of a cell.
    pub(super) fn place(&self, cell: &Cell<'_>) -> (u32, u32) {
        let first = header::page(cell.expected) * self.layout.cells_per_page();
        (header::row(cell.expected), first + cell.first as u32 - 1)
    }

    /// The live cells of a row that a budget counts.
    #[inline]
    pub(super) fn occupancy(&self, row: u32) -> usize {
        self.directory.cells(row)
    }

    /// The live cells that a budget counts.
    pub(super) fn all_cells(&self) -> Occupancy {
        Occupancy { by_tier: self.made().by_tier, row: 0 }
    }

    /// The live cells.
    pub(super) fn cells(&self) -> usize {
        self.made().cells
    }

    /// The memory taken, in bytes.
    pub(super) fn taken_bytes(&self) -> usize {
        self.made().bytes + self.own_bytes()
    }

    fn own_bytes(&self) -> usize {
        self.directory.own_bytes() + self.pages.own_bytes() + self.starts.own_bytes()
    }

    /// When the page of a cell was made, in seconds since the table was.
    #[cfg(feature = "otlp")]
    pub(super) fn start(&self, row: u32, combination: u32) -> u32 {
        let id = self.directory.page(row, self.split(combination).0);
        id.and_then(|id| self.starts.get(id)).map_or(0, |start| start.load(Ordering::Relaxed))
    }

    /// The first row from `row` on that may hold cells.
    pub(super) fn next_made_row(&self, row: u32) -> Option<u32> {
        self.directory.next_made_row(row)
    }

    /// The first combination from `combination` on whose cell in that row is live, to be read: also one that is about to
    /// end.
    pub(super) fn next_live(&self, row: u32, combination: u32) -> Option<(u32, Cell<'_>)> {
        self.read(row, combination, header::MAX_PAGES)
    }

    /// The cell of that row and combination, to be read.
    pub(super) fn find_to_read(&self, row: u32, combination: u32) -> Option<Cell<'_>> {
        self.read(row, combination, 1).filter(|(found, _)| *found == combination).map(|(_, cell)| cell)
    }

    /// The first live cell from `combination` on, in so many pages of the row.
    fn read(&self, row: u32, combination: u32, pages: u32) -> Option<(u32, Cell<'_>)> {
        let cells = self.layout.cells_per_page();
        let (first, place) = self.split(combination);
        loop {
            let run = self.directory.run(row);
            let mut found = self.directory.pages(row, first, pages);
            let cell = found.find_map(|(page, id)| {
                let skipped = if page == first { place } else { 0 };
                let (place, cell) = self.live_cell(row, page, id, skipped)?;
                Some((page * cells + place, cell))
            });
            // A run that was replaced may be another row's by now, and cells are missed.
            if self.directory.run(row) == run {
                return cell;
            }
        }
    }

    /// The first live cell of a page of a row, and its place there, after so many.
    fn live_cell(&self, row: u32, page: u32, id: u32, skipped: u32) -> Option<(u32, Cell<'_>)> {
        let lines = self.pages.get(id)?;
        let header = lines.header()?.load(Ordering::Acquire);
        let live = (header & header::LIVE) >> skipped << skipped;
        if live == 0 || header & header::OWNER != header::owner(row, page) {
            return None;
        }
        let place = live.trailing_zeros();
        let mask = header::OWNER | header::GENERATION | 1 << place;
        Some((place, Cell { page: lines, first: place as usize + 1, expected: header & mask, mask }))
    }

    #[inline]
    fn split(&self, combination: u32) -> (u32, u32) {
        match self.layout {
            Layout::Counters { .. } => (combination / COUNTERS_PER_PAGE, combination % COUNTERS_PER_PAGE),
            Layout::Cell { .. } => (combination, 0),
        }
    }
}
