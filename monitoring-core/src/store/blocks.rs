//! An array that grows without ever moving what it holds: a list of blocks of one size, each made when first used.

use super::sync::{BLOCK_BYTES, OnceLock};

/// Blocks that a full array has, about: as many as stay in the nearest cache.
const BLOCKS: usize = 256;

/// Blocks that there are at most.
const MOST_BLOCKS: usize = 1 << 14;

/// An array of at most `u32::MAX` elements.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    blocks: Box<[OnceLock<Box<[T]>>]>,
    /// Elements in a block, as a power of two, and that less one.
    log2: u32,
    mask: usize,
}

/// How many elements of that size a block has in an array of `max`, as a power of two.
pub(super) fn log2_for(bytes: usize, max: usize) -> u32 {
    let [least, most] = BLOCK_BYTES.map(|block| (block / bytes).max(1));
    let log2 = ((max + 1) / BLOCKS).clamp(least, most).ilog2();
    // Larger blocks rather than a list that is large by itself.
    log2.max((max / MOST_BLOCKS).max(1).ilog2())
}

impl<T: Default> Blocks<T> {
    /// Room for the elements up to `max`; memory is taken as they are made.
    pub(super) fn new(max: usize) -> Self {
        let log2 = log2_for(size_of::<T>(), max);
        let blocks = (0..(max >> log2) + 1).map(|_| OnceLock::new()).collect();
        Self { blocks, log2, mask: (1 << log2) - 1 }
    }

    /// The block of an element, and its place there.
    #[inline(always)]
    fn place(&self, number: u32) -> (Option<&OnceLock<Box<[T]>>>, usize) {
        (self.blocks.get(number as usize >> self.log2), number as usize & self.mask)
    }

    /// An element, if its block was made.
    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (block, place) = self.place(number);
        block?.get()?.get(place)
    }

    /// The bytes that making an element takes: none if its block exists; `None` past the end.
    pub(super) fn cost(&self, number: u32) -> Option<usize> {
        Some(if self.place(number).0?.get().is_none() { size_of::<T>() << self.log2 } else { 0 })
    }

    /// The bytes that making so many elements takes; `None` if they go past the end.
    pub(super) fn cost_of(&self, first: u32, count: u32) -> Option<usize> {
        let (from, to) = (first >> self.log2, first.checked_add(count.saturating_sub(1))? >> self.log2);
        (from..=to).map(|block| self.cost(block << self.log2)).sum()
    }

    /// An element, made if need be; `None` past the end.
    pub(super) fn make(&self, number: u32) -> Option<&T> {
        self.place(number).0?.get_or_init(|| (0..1 << self.log2).map(|_| T::default()).collect());
        self.get(number)
    }

    /// What the list of blocks itself takes.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    /// The first element from `number` on whose block was made.
    pub(super) fn next_made(&self, mut number: u32) -> Option<u32> {
        loop {
            if self.place(number).0?.get().is_some() {
                return Some(number);
            }
            number = ((number >> self.log2) + 1).checked_mul(1 << self.log2)?;
        }
    }
}
