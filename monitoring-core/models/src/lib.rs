//! Models of the metric store: loom runs each in all the ways in which its threads can take turns, up to a bound of
//! preemptions.
//!
//! The code under test is that of the store, file by file: only the atomics and the lock beneath it are loom's (`sync.rs`).
//! `store.rs` records the way a family does; `tenant.rs` stands for the tiers. The models: `creation.rs`, cells that are
//! made and runs that grow; `ending.rs`, records that race with the end of their series; `reading.rs`, readers at that
//! moment; `overflow.rs`, budgets of series and bytes; `ids.rs`, the table of ids.

#![cfg(test)]
// Of the features of monitoring-core, which the shared files ask for, there is none here.
#![allow(unexpected_cfgs)]

/// Files of the store, of which the models use a part.
macro_rules! of_the_store {
    ($($path:literal $file:ident)*) => {$(
        #[path = $path]
        #[allow(dead_code, unreachable_pub, unused_imports, reason = "made for the store, not for its models")]
        mod $file;
    )*};
}

of_the_store! {
    "../../src/store/addition.rs" addition
    "../../src/store/blocks.rs" blocks
    "../../src/store/budget.rs" budget
    "../../src/store/directory.rs" directory
    "../../src/store/expiry.rs" expiry
    "../../src/id_table.rs" id_table
    "../../src/store/pages.rs" pages
    "../../src/store/table.rs" table
}

mod creation;
mod ending;
mod ids;
mod overflow;
mod reading;
mod store;
mod sync;
mod tenant;

use std::sync::Arc;

/// Runs `model` in the orders with at most that many preemptions, as loom finds them by itself; then in those with one
/// less, in all of which each access takes a turn.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    for (preemptions, takes_turns) in [(preemptions, false), (preemptions - 1, true)] {
        sync::take_turns(takes_turns);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 10_000;
        let model = Arc::clone(&model);
        builder.check(move || model());
    }
}
