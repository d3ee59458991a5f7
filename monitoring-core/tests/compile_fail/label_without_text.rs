//! The text of a label is a string.

use monitoring_core::LabelValue;

#[derive(Clone, Copy, LabelValue)]
enum Outcome {
    #[label(timeout)]
    Timeout,
}

fn main() {}
