//! Health, readiness and the end of a service, on real servers and sockets.
//!
//! ```text
//! readiness.rs     /readyz and /livez, as everybody and as operators see them
//! sockets.rs       checks of TCP, HTTP and disks
//! certificates.rs  checks of certificates, and pages by https
//! pools.rs         pools of PostgreSQL, SQLite and Redis: down, silent, exhausted
//! drain.rs         a process that gets SIGTERM under load
//! manifests.rs     what is in the folder deploy, asked a real Prometheus
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the set-up of a test may panic as its test functions may"
)]

mod certificates;
mod drain;
mod manifests;
mod pools;
mod readiness;
mod sockets;

use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_core::health::{CheckBuilder, CheckReport, Health, HealthCheck, Reason, Status};

/// So long a test waits for what should happen soon.
const DEADLINE: Duration = Duration::from_secs(30);

/// A check that is called `it`, critical, and asked without a pause to speak of.
fn only(monitoring: &Monitoring, check: impl HealthCheck) -> CheckBuilder {
    Health::builder(monitoring)
        .check("it", check)
        .critical()
        .every(Duration::from_millis(20))
        .time_out(Duration::from_secs(5))
        .down_after(2)
}

fn monitoring() -> Monitoring {
    Monitoring::builder("billing").build().unwrap()
}

/// The report of the check, once it says that.
async fn once(monitoring: &Monitoring, status: Status, reason: Option<Reason>) -> CheckReport {
    let start = Instant::now();
    loop {
        let report = monitoring.health_report().checks.swap_remove(0);
        if report.status == status && report.problem.as_ref().map(|problem| problem.reason()) == reason {
            return report;
        }
        assert!(start.elapsed() < DEADLINE, "{status:?} because of {reason:?} is awaited: {report:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the first run of a check finds.
async fn first(check: impl HealthCheck) -> (Monitoring, CheckReport) {
    let monitoring = monitoring();
    only(&monitoring, check).start().unwrap();
    let start = Instant::now();
    loop {
        let report = monitoring.health_report().checks.swap_remove(0);
        if report.status != Status::Unknown {
            return (monitoring, report);
        }
        assert!(start.elapsed() < DEADLINE, "the check does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn reason(report: &CheckReport) -> Option<Reason> {
    report.problem.as_ref().map(|problem| problem.reason())
}
