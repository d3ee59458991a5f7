//! A label value is an enum.

use monitoring_core::LabelValue;

#[derive(Clone, Copy, LabelValue)]
struct UserId(u64);

fn main() {}
