//! What the tests across crates, and the demo, share.
//!
//! - [`servers`] starts a real PostgreSQL, Redis or Prometheus on a free loopback port, for as long as
//!   a value lives.
//! - [`exposition`] reads the Prometheus text format into a map, strictly, so that two scrapes can be compared.
//! - [`promtool_check`] asks Prometheus' own linter what it thinks of a scrape.
//!
//! The tests themselves are in the `tests` folder beside this one.

pub mod exposition;
mod promtool;
pub mod servers;

pub use promtool::promtool_check;

/// The code of the README and of the guide is compiled, and run where it can be.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/src/getting-started.md")]
    struct GettingStarted;
}
