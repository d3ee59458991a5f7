//! What threads share the tables through, in one place: the models in `models/` replace it by what loom explores.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The bytes of a block of a table, at least and at most: a small table is to take little.
pub(crate) const BLOCK_BYTES: [usize; 2] = [2 << 10, 64 << 10];

/// Orders an addition to a word before the look at its header that follows, and the reverse.
///
/// Both are sequentially consistent already, which is all that is needed. Loom takes such accesses for weaker ones, so
/// that its models put a fence here.
#[inline(always)]
pub(crate) fn order_accesses() {}
