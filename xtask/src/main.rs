//! The project's own commands; run them as `cargo xtask`.
//!
//! - `demo` runs a measured service under load and compares what Prometheus has counted with the truth.
//! - `test` runs all tests.
//! - `bench` runs the benchmarks of ours and the peers.
//! - `packages` installs the servers that both need.
//! - `workspace` is where everything is, and how cargo is called.

mod bench;
mod demo;
mod packages;
mod test;
mod workspace;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a multi-tenant service under load and watch it with a real Prometheus.
    Demo(demo::DemoArguments),
    /// Run all tests, against real PostgreSQL, Redis and Prometheus.
    Test(test::TestArguments),
    /// Measure ours beside the peers, on the same work in one process.
    Bench(bench::BenchArguments),
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn Error>> = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).map_err(Box::from),
        Command::Test(arguments) => test::run(&arguments).map_err(Box::from),
        Command::Bench(arguments) => bench::run(&arguments).map_err(Box::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(reason) = cause {
                eprintln!("  because: {reason}");
                cause = reason.source();
            }
            ExitCode::FAILURE
        }
    }
}
