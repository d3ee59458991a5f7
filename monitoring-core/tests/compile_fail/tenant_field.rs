//! The tenant is no label like others.

use monitoring_core::{LabelSet, Symbol};

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    tenant: Symbol,
    cached: bool,
}

fn main() {}
