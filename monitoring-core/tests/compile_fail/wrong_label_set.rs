//! A family takes its own label set only.

use std::time::Duration;

use monitoring_core::{Histogram, LabelSet};

#[derive(Clone, Copy, LabelSet)]
struct QueryLabels {
    cached: bool,
}

#[derive(Clone, Copy, LabelSet)]
struct ExportLabels {
    compressed: bool,
}

fn record(queries: &Histogram<QueryLabels>) {
    queries.record(ExportLabels { compressed: true }, Duration::ZERO);
}

fn main() {}
