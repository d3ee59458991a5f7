//! The fields of a label set name the labels.

use monitoring_core::LabelSet;

#[derive(Clone, Copy, LabelSet)]
struct Labels(bool);

fn main() {}
