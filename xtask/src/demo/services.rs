//! Everything that the demo keeps running.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use monitoring_tests::servers::{Launch, PostgreSql, Process, Program, Prometheus, Redis, Target};

use super::{DemoError, promql::JOB};

const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
const SERVICE_READY_WITHIN: Duration = Duration::from_secs(60);
const SERVICE_ENDS_WITHIN: Duration = Duration::from_secs(25);

/// The servers and the sample service. Dropped in the order of the fields, so that the service ends before
/// the servers that it uses.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) prometheus: Prometheus,
    pub(crate) saas: Saas,
    _redis: Redis,
    _postgresql: PostgreSql,
}

impl Services {
    /// Starts all, each with its files in a folder of its own below `folder`. Blocks until all answer.
    pub(crate) fn start(folder: &Path, saas: &Path) -> Result<Self, DemoError> {
        let postgresql = PostgreSql::start_in(&folder.join("postgresql"))?;
        println!("PostgreSQL listens on {}", postgresql.address());
        let redis = Redis::start_in(&folder.join("redis"))?;
        println!("Redis      listens on {}", redis.address());
        let saas = Saas::start(saas, &folder.join("saas"), &postgresql, &redis)?;
        println!("saas       serves     {}", saas.url);
        println!("           metrics    {}", saas.metrics_url());
        let target = Target { job: JOB.to_owned(), service: "saas".to_owned(), address: saas.metrics };
        let prometheus = Prometheus::start_in(&folder.join("prometheus"), &[target], SCRAPE_INTERVAL)?;
        println!("Prometheus serves     {}", prometheus.url());
        Ok(Self { prometheus, saas, _redis: redis, _postgresql: postgresql })
    }

    /// Makes sure that the service is still running.
    pub(crate) fn check(&mut self) -> Result<(), DemoError> {
        let process = &mut self.saas.process;
        match process.exit_status() {
            None => Ok(()),
            Some(status) => {
                Err(DemoError::ServiceDied { status, tail: process.log_tail(), log: process.log().to_owned() })
            }
        }
    }

    /// Ends the service, which must go by itself and without an error, and then the servers.
    pub(crate) fn end(mut self) -> Result<(), DemoError> {
        let status = self.saas.process.stop(SERVICE_ENDS_WITHIN);
        let log = self.saas.process.log().to_owned();
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(DemoError::ServiceFailed { status, log }),
            None => Err(DemoError::ServiceStuck { waited: SERVICE_ENDS_WITHIN, log }),
        }
    }
}

/// The sample service.
#[derive(Debug)]
pub(crate) struct Saas {
    process: Process,
    pub(crate) url: String,
    metrics: SocketAddr,
}

impl Saas {
    fn start(program: &Path, folder: &Path, postgresql: &PostgreSql, redis: &Redis) -> Result<Self, DemoError> {
        fs::create_dir_all(folder).map_err(|source| DemoError::Write { path: folder.to_owned(), source })?;
        // It chooses free ports itself and prints them.
        let listen = |setting: &str| [setting.to_owned(), "127.0.0.1:0".to_owned()];
        let arguments = [listen("--listen"), listen("--metrics")].concat();
        let mut process = Launch::new(program.to_owned(), arguments)
            .variable("DATABASE_URL", postgresql.url())
            .variable("REDIS_URL", redis.url())
            // No load balancer has to notice that it ends.
            .variable("MONITORING_DRAIN_DELAY", "0".to_owned())
            .start(&folder.join("saas.log"))?;
        let log = process.log().to_owned();
        let (url, metrics) = process.wait_until(SERVICE_READY_WITHIN, || {
            let printed = fs::read_to_string(&log).ok()?;
            let url = word_after(&printed, "listening on ")?;
            let metrics = word_after(&printed, "metrics on http://")?.split('/').next()?.parse().ok()?;
            Some((url.to_owned(), metrics))
        })?;
        Ok(Self { process, url, metrics })
    }

    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }
}

/// The word that follows `start` in a line that is complete.
fn word_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    let (line, _) = rest.split_once('\n')?;
    line.split_whitespace().next()
}

/// The versions of all that takes part, as each program states its own.
pub(crate) fn versions() -> BTreeMap<&'static str, String> {
    let mut versions: BTreeMap<&'static str, String> = [Program::POSTGRES, Program::REDIS_SERVER, Program::PROMETHEUS]
        .into_iter()
        .filter_map(|program| Some((program.name(), version(&program.locate().ok()?)?)))
        .collect();
    versions.insert("monitoring", env!("CARGO_PKG_VERSION").to_owned());
    versions
}

fn version(program: &PathBuf) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_only_from_a_complete_line() {
        assert_eq!(word_after("INFO listening on http://127.0.0.1:3", "listening on "), None);
        let printed = "INFO listening on http://127.0.0.1:3000 now\nmore\n";
        assert_eq!(word_after(printed, "listening on "), Some("http://127.0.0.1:3000"));
    }
}
