//! Which of the stripes of a platform family a thread adds to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

/// This thread's stripe, of so many.
#[inline]
pub(super) fn stripe(stripes: u32) -> u32 {
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(u32::MAX) };
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let number = NUMBER.try_with(|number| {
        if number.get() == u32::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed) % (1 << 16));
        }
        number.get()
    });
    // A thread that is being torn down uses the first stripe. The number of stripes is a power of two.
    number.unwrap_or(0) & stripes.wrapping_sub(1)
}
