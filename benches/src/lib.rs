//! What the benchmarks of ours and the peers report.
//!
//! `work.rs` is what can be measured, and `works.rs` every work that is, with the goal it has; `report.rs` is what came
//! out of a run, as rows and as tables. The benchmarks themselves, and the peers, are in `benches/compare`.

mod report;
mod work;
pub mod works;

pub use report::{Kind, Report, Row};
pub use work::{Better, Part, Work};
