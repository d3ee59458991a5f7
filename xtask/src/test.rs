//! `cargo xtask test`: every test of the workspace, against real servers.

use std::process::Stdio;

use clap::Args;
use thiserror::Error;

use crate::{
    packages::{self, Need, PackagesError},
    workspace::{self, CargoError},
};

/// What the tests are to run with.
#[derive(Args, Clone, Debug)]
pub(crate) struct TestArguments {
    /// Passed on to the test runner, after `--`: the part of a test's name, for example.
    #[arg(last = true)]
    filter: Vec<String>,
}

/// Why the tests were not run, or failed.
#[derive(Debug, Error)]
pub(crate) enum TestError {
    #[error(transparent)]
    Packages(#[from] PackagesError),
    #[error(transparent)]
    Cargo(#[from] CargoError),
}

/// Installs what is missing, runs the examples in the documentation, then all other tests.
///
/// With [cargo-nextest](https://nexte.st) they run in parallel across crates; without it `cargo test` runs the
/// same tests, a little slower, which is quicker than building cargo-nextest first.
pub(crate) fn run(arguments: &TestArguments) -> Result<(), TestError> {
    packages::install_missing(&Need::of_tests())?;
    if arguments.filter.is_empty() {
        workspace::run_cargo(&["test", "--workspace", "--doc"])?;
    }
    let runner: &[&str] = if has_nextest() {
        &["nextest", "run", "--workspace", "--no-fail-fast"]
    } else {
        println!(
            "cargo-nextest is not installed, so `cargo test` runs the tests; `cargo install --locked cargo-nextest` gets it."
        );
        &["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    let mut command = runner.to_vec();
    command.extend(arguments.filter.iter().map(String::as_str));
    workspace::run_cargo(&command)?;
    Ok(())
}

fn has_nextest() -> bool {
    let version =
        workspace::cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
