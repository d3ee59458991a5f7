//! What browsers report: web vitals and script errors of the pages that they show.
//!
//! ```text
//! route.rs       the route: GET gives the script, POST takes a report
//! report.rs      a report, as it is read from a request
//! pages.rs       which page it is about
//! rate.rs        how many reports there may be
//! record.rs      what is recorded, under which labels
//! vitals.js      what the page runs; traceparent.js: what it runs besides, if it is told to
//! ```

mod pages;
mod rate;
mod record;
mod report;
mod route;

pub use pages::InvalidPage;
pub use route::Browser;
