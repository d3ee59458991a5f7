//! A text is no label value, even a static one.

use monitoring_core::LabelSet;

#[derive(Clone, Copy, LabelSet)]
struct Labels {
    route: &'static str,
}

fn main() {}
