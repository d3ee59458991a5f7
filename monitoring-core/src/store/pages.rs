//! The pages of a table: words that lie beside one another, a header first. They are packed, so that a page of ten words
//! takes no more than that, and none is split between its header and the word after it.

use super::blocks::log2_for;
use super::sync::{AtomicU64, OnceLock, Ordering};

/// Words in a cache line.
pub(super) const LINE: usize = 8;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// Pages of one size, which never move.
#[derive(Debug)]
pub(super) struct Pages {
    blocks: Box<[OnceLock<Box<[Line]>>]>,
    /// Words of a page, its header included.
    words: usize,
    /// Pages in a block, as a power of two, and that less one.
    log2: u32,
    mask: usize,
}

/// The words of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// From the line of the header on.
    lines: &'a [Line],
    /// The header's place in its line.
    first: usize,
}

impl Pages {
    /// Room for the pages up to `max`, of so many words besides the header.
    pub(super) fn new(words: usize, max: usize) -> Self {
        let words = (words + 1).next_multiple_of(2);
        let log2 = log2_for(words * size_of::<u64>(), max);
        let blocks = (0..(max >> log2) + 1).map(|_| OnceLock::new()).collect();
        Self { blocks, words, log2, mask: (1 << log2) - 1 }
    }

    #[inline(always)]
    pub(super) fn get(&self, id: u32) -> Option<Page<'_>> {
        let block = self.blocks.get(id as usize >> self.log2)?.get()?;
        let word = (id as usize & self.mask) * self.words;
        Some(Page { lines: block.get(word / LINE..)?, first: word % LINE })
    }

    /// The same if pages are as long as lines.
    #[inline(always)]
    pub(super) fn get_line(&self, id: u32) -> Option<Page<'_>> {
        let block = self.blocks.get(id as usize >> self.log2)?.get()?;
        Some(Page { lines: std::slice::from_ref(block.get(id as usize & self.mask)?), first: 0 })
    }

    /// The words of a page after its header.
    pub(super) fn words<'a>(&self, page: Page<'a>) -> impl Iterator<Item = &'a AtomicU64> + use<'a> {
        let words = page.lines.iter().flat_map(|line| &line.0);
        words.skip(page.first + 1).take(self.words - 1)
    }

    /// What they hold.
    pub(super) fn load<'a>(&self, page: Page<'a>, ordering: Ordering) -> impl Iterator<Item = u64> + use<'a> {
        self.words(page).map(move |word| word.load(ordering))
    }

    /// The bytes that making a page takes: none if its block exists; `None` past the end.
    pub(super) fn cost(&self, id: u32) -> Option<usize> {
        let block = self.blocks.get(id as usize >> self.log2)?;
        Some(if block.get().is_none() { self.lines() * size_of::<Line>() } else { 0 })
    }

    /// The bytes of a page.
    pub(super) fn page_bytes(&self) -> usize {
        self.words * size_of::<u64>()
    }

    /// A page, made if need be; `None` past the end.
    pub(super) fn make(&self, id: u32) -> Option<Page<'_>> {
        let block = self.blocks.get(id as usize >> self.log2)?;
        block.get_or_init(|| (0..self.lines()).map(|_| Line::default()).collect());
        self.get(id)
    }

    fn lines(&self) -> usize {
        (self.words << self.log2).div_ceil(LINE)
    }

    /// What the list of blocks itself takes.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }
}

impl<'a> Page<'a> {
    #[inline(always)]
    pub(super) fn header(&self) -> Option<&'a AtomicU64> {
        self.word(0)
    }

    /// The word at that place; the header is at zero.
    #[inline(always)]
    pub(super) fn word(&self, place: usize) -> Option<&'a AtomicU64> {
        let place = self.first + place;
        self.lines.get(place / LINE)?.0.get(place % LINE)
    }
}
