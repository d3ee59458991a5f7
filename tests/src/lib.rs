//! What the tests across crates, and the demo, share.
//!
//! - [`servers`] starts a real PostgreSQL, Redis or Prometheus on a free loopback port, for as long as
//!   a value lives.
//! - [`exposition`] reads the Prometheus text format into a map, strictly, so that two scrapes can be compared.
//! - [`promtool_check`] asks Prometheus' own linter what it thinks of a scrape.
//! - [`prometheus_client`] reads expositions with the parsers of Python's client.
//! - [`Proxy`] stands before a server, and delays, holds or cuts its connections.
//! - [`Memory`] is what the process has in use; [`in_own_process`] runs a test where nothing else uses any.
//!
//! The tests themselves are in the `tests` folder beside this one.

pub mod exposition;
mod memory;
mod own_process;
pub mod prometheus_client;
mod promtool;
mod proxy;
pub mod servers;

pub use memory::Memory;
pub use own_process::{in_own_process, in_own_process_with};
pub use promtool::promtool_check;
pub use proxy::{Fault, Proxy};

/// The code of the README and of the guide is compiled, and run where it can be.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/src/getting-started.md")]
    struct GettingStarted;

    #[doc = include_str!("../../docs/src/own-metrics.md")]
    struct OwnMetrics;

    #[doc = include_str!("../../docs/src/cardinality.md")]
    struct Cardinality;

    #[doc = include_str!("../../docs/src/histograms.md")]
    struct Histograms;

    #[doc = include_str!("../../docs/src/scraping.md")]
    struct Scraping;

    #[doc = include_str!("../../docs/src/http.md")]
    struct Http;

    #[doc = include_str!("../../docs/src/otlp.md")]
    struct Push;

    #[doc = include_str!("../../docs/src/health.md")]
    struct Health;

    #[doc = include_str!("../../docs/src/redis.md")]
    struct Redis;

    #[doc = include_str!("../../docs/src/runtime.md")]
    struct Runtime;

    #[doc = include_str!("../../docs/src/existing-exporter.md")]
    struct ExistingExporter;

    #[doc = include_str!("../../docs/src/rate-limits.md")]
    struct RateLimits;

    #[doc = include_str!("../../docs/src/jobs.md")]
    struct Jobs;

    #[doc = include_str!("../../docs/src/browser.md")]
    struct Browser;

    #[doc = include_str!("../../docs/src/http-client.md")]
    struct HttpClient;

    #[doc = include_str!("../../docs/src/sql.md")]
    struct Sql;

    #[doc = include_str!("../../docs/src/sql-sessions.md")]
    struct SqlSessions;
}
