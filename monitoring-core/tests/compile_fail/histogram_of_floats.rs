//! What is counted is a `Duration` or a `u64`.

use monitoring_core::{Histogram, LabelSet, Measure};

fn takes<L: LabelSet, V: Measure>(_: &Histogram<L, V>) {}

fn record(sizes: &Histogram<(), f64>) {
    takes(sizes);
}

fn main() {}
