//! Four symbols have 64 bits, one too many.

use monitoring_core::{LabelSet, Symbol};

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    first: Symbol,
    second: Symbol,
    third: Symbol,
    fourth: Symbol,
}

fn main() {}
