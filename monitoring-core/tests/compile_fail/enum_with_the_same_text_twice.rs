//! Two values that read the same would be one series.

use monitoring_core::LabelValue;

#[derive(Clone, Copy, LabelValue)]
enum Outcome {
    Timeout,
    #[label("timeout")]
    TimedOut,
}

fn main() {}
