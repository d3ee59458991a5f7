//! A string can have any number of values, and costs an allocation.

use monitoring_core::LabelSet;

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    user: String,
}

fn main() {}
