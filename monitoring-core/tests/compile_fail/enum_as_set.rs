//! A label set is a struct.

use monitoring_core::LabelSet;

#[derive(Clone, Copy, LabelSet)]
enum Labels {
    Ok,
}

fn main() {}
