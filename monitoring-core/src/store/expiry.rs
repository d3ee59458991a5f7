//! The end of series that nobody records into any more.
//!
//! A sweep looks at every page of the registered tenants. A page whose words have not changed for long enough is
//! *retired*: a mark in its header sends whoever wants to record into it to the lock, where the mark is taken away again.
//! A page that is still retired at the next sweep is *closed*: its words are taken to zero, and after another sweep it can
//! belong to another series.
//!
//! No increment is lost, however late it comes. A record adds to a word, then looks at the header. A sweep changes the
//! header, then looks at the words. All four are sequentially consistent, so one of the two sees the other: the sweep
//! finds the words changed, and leaves the page to its series; or the record finds the header changed, and settles under
//! the lock: what it added counts if the page is still that of its series, else it takes it away and begins anew. The words
//! go to zero by subtracting what was last read, not by being overwritten, so that both work out in any order.
//!
//! To add to a page that is another's by then, a thread would have to stand still between two instructions for two whole
//! sweeps; then that other series shows too much until the thread's next few instructions. And one that stands still
//! between its addition and its look at the header for as long as a series must be idle, an hour and more, takes away again
//! what the sweep has taken away already.

use std::collections::HashMap;

use super::budget::TIERS;
use super::sync::Ordering;
use super::table::{Made, Table, header};

/// What sweeps remember.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// In blocks, because a list that doubles would take twice what it needs.
    watched: Vec<Box<[Watched]>>,
    /// What tells whether the words of retired pages have changed.
    retired: HashMap<u32, u64>,
    /// Pages that were closed since the last sweep, and by it.
    closed: [Vec<u32>; 2],
}

/// A page that sweeps look at: by its id.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// Tells whether the words have changed.
    digest: u16,
    /// The sweeps since then.
    unchanged: u8,
    /// One more than the tier of the tenant when its first cell was made; zero if the page has no cells that a budget counts.
    tier: u8,
}

/// Pages in a block of what is watched.
const BLOCK: usize = 1_024;

impl Expiry {
    /// A page has a cell that the budget counts, for a tenant of that tier. Returns the tier that it counts for: that of the
    /// page's first one, because they end together, and tenants change their tiers.
    pub(super) fn count(&mut self, id: u32, tier: usize) -> usize {
        while self.watched.len() <= id as usize / BLOCK {
            self.watched.push(vec![Watched::default(); BLOCK].into());
        }
        let Some(watched) = self.watched(id) else { return tier };
        if watched.tier == 0 {
            *watched = Watched { tier: tier.min(TIERS - 1) as u8 + 1, ..Watched::default() };
        }
        watched.unchanged = 0;
        usize::from(watched.tier) - 1
    }

    /// The tier that the cells of a page count for; `None` if no budget counts them.
    pub(super) fn tier(&mut self, id: u32) -> Option<usize> {
        self.watched(id)?.tier.checked_sub(1).map(usize::from)
    }

    /// A retired page is not to end.
    pub(super) fn revive(&mut self, id: u32) {
        self.retired.remove(&id);
        if let Some(watched) = self.watched(id) {
            watched.unchanged = 0;
        }
    }

    fn watched(&mut self, id: u32) -> Option<&mut Watched> {
        self.watched.get_mut(id as usize / BLOCK)?.get_mut(id as usize % BLOCK)
    }

    /// The bytes that watching that page takes, beside those of others.
    pub(super) fn cost(&self, id: u32) -> usize {
        (id as usize / BLOCK + 1).saturating_sub(self.watched.len()) * BLOCK * size_of::<Watched>()
    }
}

/// The bytes that are looked at before others get the lock.
const BYTES_PER_TURN: usize = 32 << 10;

impl Table {
    /// Ends what has not changed for `sweeps` sweeps. To be called from one thread at a time, and only if what the cells
    /// hold is read between two sweeps.
    pub(super) fn sweep(&self, sweeps: u8) {
        let pages_per_turn = (BYTES_PER_TURN / self.pages.page_bytes()).max(1) as u32;
        let mut first = 1_u32;
        loop {
            self.let_others();
            let mut made = self.made();
            let last = made.pages.min(first.saturating_add(pages_per_turn - 1));
            for id in first..=last {
                self.sweep_page(id, sweeps, &mut made);
            }
            if last >= made.pages {
                let [before, now] = &mut made.expiry.closed;
                let reusable = std::mem::replace(before, std::mem::take(now));
                made.free_pages.extend(reusable);
                return;
            }
            first = last + 1;
        }
    }

    fn sweep_page(&self, id: u32, sweeps: u8, made: &mut Made) -> Option<()> {
        let page = self.pages.get(id)?;
        let watched = made.expiry.watched(id).filter(|watched| watched.tier > 0)?;
        let header = page.header()?;
        let found = header.load(Ordering::SeqCst);
        if found & header::RETIRED != 0 {
            return self.close(id, found, made);
        }
        let found_digest = digest(self.pages.load(page, Ordering::Relaxed));
        if short(found_digest) != watched.digest {
            (watched.digest, watched.unchanged) = (short(found_digest), 0);
            return Some(());
        }
        watched.unchanged = watched.unchanged.saturating_add(1);
        if watched.unchanged < sweeps {
            return Some(());
        }
        header.fetch_or(header::RETIRED, Ordering::SeqCst);
        super::sync::order_accesses();
        if digest(self.pages.load(page, Ordering::SeqCst)) == found_digest {
            made.expiry.retired.insert(id, found_digest);
        } else {
            header.fetch_and(!header::RETIRED, Ordering::SeqCst);
            watched.unchanged = 0;
        }
        Some(())
    }

    /// Ends a retired page, unless something was added to it since.
    fn close(&self, id: u32, found: u64, made: &mut Made) -> Option<()> {
        let page = self.pages.get(id)?;
        let header = page.header()?;
        let retired = made.expiry.retired.remove(&id)?;
        let generation = found.wrapping_add(1 << header::GENERATION_SHIFT) & header::GENERATION;
        header.store(generation, Ordering::SeqCst);
        super::sync::order_accesses();
        let watched = made.expiry.watched(id)?;
        let words: Box<[u64]> = self.pages.load(page, Ordering::SeqCst).collect();
        if digest(words.iter().copied()) != retired {
            header.store(found & !header::RETIRED, Ordering::SeqCst);
            watched.unchanged = 0;
            return Some(());
        }
        let tier = usize::from(watched.tier) - 1;
        *watched = Watched::default();
        self.directory.link(header::row(found), header::page(found), 0);
        for (word, last) in self.pages.words(page).zip(words) {
            word.fetch_sub(last, Ordering::SeqCst);
        }
        self.discount(header::row(found), tier, (found & header::LIVE).count_ones(), made);
        let [_, closed] = &mut made.expiry.closed;
        closed.push(id);
        Some(())
    }
}

/// A number that differs when one of the words does, and most likely when several do.
fn digest(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(1, |digest: u64, word| (digest.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A part of it. Who meets the same part of another number ends a series a little early.
fn short(digest: u64) -> u16 {
    (digest >> 48) as u16
}
