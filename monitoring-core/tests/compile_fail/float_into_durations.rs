//! A duration is a `Duration`.

use monitoring_core::Histogram;

fn record(durations: &Histogram<()>) {
    durations.record((), 0.25);
}

fn main() {}
