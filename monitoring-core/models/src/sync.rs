//! What the store's threads share its tables through, as loom explores it.

use std::cell::Cell;
pub(crate) use std::sync::PoisonError;

use loom::sync::atomic;
pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// One element in a block: loom is slow with many atomics.
pub(crate) const BLOCK_BYTES: [usize; 2] = [1, 1];

/// Loom takes sequentially consistent accesses for acquiring and releasing ones. This fence stands for the order of all
/// of them that the store relies on, and gets from its accesses themselves.
pub(crate) fn order_accesses() {
    fence(Ordering::SeqCst);
}

thread_local! {
    static TAKES_TURNS: Cell<bool> = const { Cell::new(false) };
}

/// Whether each access to an atomic takes a turn first.
///
/// Loom knows only the last access to an atomic when it looks for orders that may matter. After a thread has looked at a
/// value that it changes then, loom no longer knows who else has looked at it, and leaves out what happens if the change
/// comes first. A turn changes nothing, and orders no other access, but to loom no two of them can be exchanged.
pub(crate) fn take_turns(takes_turns: bool) {
    TAKES_TURNS.set(takes_turns);
}

/// Atomics of the store: those of loom, and their turns.
macro_rules! atomics {
    ($($name:ident of $word:ty)*) => {$(
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            value: atomic::$name,
            turn: atomic::AtomicUsize,
        }

        #[allow(dead_code, reason = "no type needs all of them")]
        impl $name {
            pub(crate) fn new(value: $word) -> Self {
                Self { value: atomic::$name::new(value), turn: atomic::AtomicUsize::new(0) }
            }

            fn in_turn(&self) -> &atomic::$name {
                if TAKES_TURNS.get() {
                    self.turn.fetch_add(0, Ordering::Relaxed);
                }
                &self.value
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $word {
                self.in_turn().load(ordering)
            }

            pub(crate) fn store(&self, value: $word, ordering: Ordering) {
                self.in_turn().store(value, ordering);
            }

            pub(crate) fn fetch_add(&self, value: $word, ordering: Ordering) -> $word {
                self.in_turn().fetch_add(value, ordering)
            }

            pub(crate) fn fetch_sub(&self, value: $word, ordering: Ordering) -> $word {
                self.in_turn().fetch_sub(value, ordering)
            }

            pub(crate) fn fetch_and(&self, value: $word, ordering: Ordering) -> $word {
                self.in_turn().fetch_and(value, ordering)
            }

            pub(crate) fn fetch_or(&self, value: $word, ordering: Ordering) -> $word {
                self.in_turn().fetch_or(value, ordering)
            }

            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                update: impl FnMut($word) -> Option<$word>,
            ) -> Result<$word, $word> {
                self.in_turn().fetch_update(set, fetch, update)
            }
        }
    )*};
}

atomics! {
    AtomicU32 of u32
    AtomicU64 of u64
    AtomicUsize of usize
}

/// A place that is filled once. Loom has none: what one thread has filled, another may not see yet.
#[derive(Debug, Default)]
pub(crate) struct OnceLock<T> {
    /// One when it is.
    is_filled: AtomicU32,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { is_filled: AtomicU32::new(0), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_filled.load(Ordering::Acquire) == 1 { self.value.get() } else { None }
    }

    /// The store fills a place under a lock: no two threads are in here at a time.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let value = self.value.get_or_init(make);
        if self.is_filled.load(Ordering::Relaxed) == 0 {
            self.is_filled.store(1, Ordering::Release);
        }
        value
    }
}
