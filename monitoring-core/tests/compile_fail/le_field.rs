//! `le` is the store's own.

use monitoring_core::LabelSet;

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    le: bool,
}

fn main() {}
