//! The driver of a browser.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
};

use super::{
    Process, Program, ServerError,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
};

/// ChromeDriver on a loopback port: it starts a browser for each session that it is asked for, and ends it with itself.
#[derive(Debug)]
pub struct ChromeDriver {
    process: Process,
    address: SocketAddr,
    browser: PathBuf,
    // Dropped after the process.
    folder: Folder,
}

impl ChromeDriver {
    /// Starts the driver, and no browser yet. Blocks until it answers.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        let folder = Folder::temporary(Program::CHROMEDRIVER)?;
        let (program, browser) = (Program::CHROMEDRIVER.locate()?, Program::CHROMIUM.locate()?);
        let (process, address) = on_free_port(Program::CHROMEDRIVER, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut process = Launch::new(program.clone(), vec![format!("--port={port}")]).start(&folder.log())?;
            process.wait_until(READY_WITHIN, || TcpStream::connect(address).ok())?;
            Ok((process, address))
        })?;
        Ok(Self { process, address, browser, folder })
    }

    /// The URL for a WebDriver client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The capabilities to ask for: a browser without a window, which keeps to this machine and leaves nothing behind.
    #[must_use]
    pub fn capabilities(&self) -> serde_json::Map<String, serde_json::Value> {
        let profile = format!("--user-data-dir={}", self.folder.path().join("profile").display());
        let arguments = [
            "--headless",
            // Root may not use the sandbox; the pages are the tests' own.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &profile,
        ];
        let options = serde_json::json!({ "binary": self.browser, "args": arguments });
        serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), options)])
    }

    /// The process of the driver, to look at its log or to stop it early.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
