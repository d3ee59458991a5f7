//! What can go wrong when a server is started.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use thiserror::Error;

/// Why a server could not be started. Each message names the program and the remedy, or ends with the last
/// lines of the server's own log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The program is not installed.
    #[error(
        "`{program}` was not found on this machine; it is in the Debian package `{package}`: \
         run `cargo xtask test`, which installs what is missing, or `apt-get install {package}`"
    )]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },

    /// The operating system refused to start the program.
    #[error("`{program}` could not be started from {}", path.display())]
    Spawn {
        /// The program that was to be started.
        program: String,
        /// Where it was found.
        path: PathBuf,
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// The program ended before it was ready.
    #[error("`{program}` ended ({status}) before it was ready; the end of its log:\n{log}")]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },

    /// The program runs, but did not answer in time.
    #[error(
        "`{program}` did not answer within {} s; the end of its log:\n{log}",
        waited.as_secs()
    )]
    NotReady {
        /// The program.
        program: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },

    /// Each port that was free a moment before had been taken when the server wanted it.
    #[error("`{program}` found its port in use, {attempts} times with another free port each time")]
    PortInUse {
        /// The program.
        program: &'static str,
        /// How many ports were tried.
        attempts: usize,
    },

    /// The operating system gave no loopback port.
    #[error("no free loopback port was found for `{program}`")]
    NoFreePort {
        /// The program.
        program: &'static str,
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// The operating system gave no random bytes for a password.
    #[error("no random password could be made: /dev/urandom cannot be read")]
    NoPassword {
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// A file or folder that the server needs could not be made.
    #[error("cannot prepare {} for `{program}`", path.display())]
    Folder {
        /// The program.
        program: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// The program runs, but does not do what it is asked to make it ready.
    #[error("`{program}` was started, but a request that would set it up failed")]
    Request {
        /// The program.
        program: &'static str,
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// The caller is root, and there is no unprivileged user for PostgreSQL.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody`: \
         create one with `adduser --system postgres`, or run this as another user"
    )]
    NoUnprivilegedUser,
}
