//! Prometheus.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::{
    Process, Program, ServerError,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
};

/// A service that Prometheus scrapes, at `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The `job` label of its series.
    pub job: String,
    /// The `service` label of its series.
    pub service: String,
    /// The address of its metrics listener.
    pub address: SocketAddr,
}

/// A Prometheus server on a loopback port that scrapes the given targets.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    // Dropped after the process.
    folder: Folder,
}

impl Prometheus {
    /// Starts a server that scrapes `targets` every `interval`, with its data in a temporary folder.
    /// Blocks until it is ready.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(targets: &[Target], interval: Duration) -> Result<Self, ServerError> {
        Self::launch(Folder::temporary(Program::PROMETHEUS)?, targets, interval, &[])
    }

    /// As [`start`](Self::start), with the named features of `--enable-feature`, such as `native-histograms`.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_with(features: &[&str], targets: &[Target], interval: Duration) -> Result<Self, ServerError> {
        Self::launch(Folder::temporary(Program::PROMETHEUS)?, targets, interval, features)
    }

    /// As [`start`](Self::start), with configuration, data and log in `folder`, which is made if it does
    /// not exist. They stay when the server is dropped.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_in(folder: &Path, targets: &[Target], interval: Duration) -> Result<Self, ServerError> {
        Self::launch(Folder::given(folder, Program::PROMETHEUS)?, targets, interval, &[])
    }

    fn launch(folder: Folder, targets: &[Target], interval: Duration, features: &[&str]) -> Result<Self, ServerError> {
        let program = Program::PROMETHEUS.locate()?;
        let configuration = folder.write_private("prometheus.yml", &configuration(targets, interval), None)?;
        let data = folder.make_private_folder("data", None)?;
        let (process, address) = on_free_port(Program::PROMETHEUS, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut arguments = vec![
                format!("--config.file={}", configuration.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={address}"),
                format!("--web.external-url=http://{address}/"),
            ];
            if !features.is_empty() {
                arguments.push(format!("--enable-feature={}", features.join(",")));
            }
            let mut process = Launch::new(program.clone(), arguments).start(&folder.log())?;
            process.wait_until(READY_WITHIN, || is_ready(address).then_some(()))?;
            Ok((process, address))
        })?;
        Ok(Self { process, address, folder })
    }

    /// The URL of its pages and of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its configuration, data and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn configuration(targets: &[Target], interval: Duration) -> String {
    let mut text =
        format!("global:\n  scrape_interval: {0}ms\n  scrape_timeout: {0}ms\nscrape_configs:\n", interval.as_millis());
    for Target { job, service, address } in targets {
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "  - job_name: {job:?}\n    static_configs:\n      - targets: [\"{address}\"]\n        labels: {{ service: {service:?} }}\n"
        );
    }
    text
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(connection, "GET /-/ready HTTP/1.0\r\n\r\n")?;
        let mut reply = String::new();
        connection.read_to_string(&mut reply)?;
        Ok::<_, std::io::Error>(reply)
    };
    ask().is_ok_and(|reply| reply.split_whitespace().nth(1) == Some("200"))
}
