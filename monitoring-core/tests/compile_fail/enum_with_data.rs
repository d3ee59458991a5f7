//! A label value that carries data could have any number of values.

use monitoring_core::LabelValue;

#[derive(Clone, Copy, LabelValue)]
enum Outcome {
    Ok,
    Failed(u32),
}

fn main() {}
