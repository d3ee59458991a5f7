//! Labels are a struct of their own.

use monitoring_core::{Histogram, LabelSet, Measure};

fn takes<L: LabelSet, V: Measure>(_: &Histogram<L, V>) {}

fn record(sizes: &Histogram<(&'static str, &'static str)>) {
    takes(sizes);
}

fn main() {}
