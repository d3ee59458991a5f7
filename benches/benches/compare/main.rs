//! Ours and the peers on the same work, in one process.
//!
//! `cargo bench -p monitoring-benches -- [PART..] [--quick] [--rows FILE]` runs all parts or those that are named, and
//! writes what came out as rows into a file. `cargo xtask bench` runs each part in a process of its own.
//!
//! - `measure.rs` runs variants of the same work in turns.
//! - `stores/` are the stores that are compared, each as its users write it.
//! - `record.rs`, `hot.rs`, `memory.rs` and `hostile.rs` are what they are asked to do.
//! - `http/` is the HTTP layer beside other layers and what a team writes by hand; `sql.rs` and `redis.rs` are the same for
//!   the wrappers of databases.

mod hostile;
mod hot;
mod http;
mod measure;
mod memory;
mod record;
mod redis;
mod sql;
mod stores;

use std::error::Error;
use std::path::PathBuf;

use monitoring_benches::{Part, Report};

/// What the command line asks for.
struct Arguments {
    parts: Vec<Part>,
    quick: bool,
    rows: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self { parts: Vec::new(), quick: false, rows: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--quick" => parsed.quick = true,
                "--rows" => parsed.rows = Some(arguments.next().ok_or("`--rows` needs the path of a file")?.into()),
                part => parsed.parts.push(part.parse()?),
            }
        }
        if parsed.parts.is_empty() {
            parsed.parts = Part::ALL.to_vec();
        }
        Ok(parsed)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let mut report = Report::default();
    for part in arguments.parts {
        let rows = match part {
            Part::Record => record::run(arguments.quick)?,
            Part::Hot => hot::run(arguments.quick)?,
            Part::Memory => memory::run(arguments.quick)?,
            Part::Hostile => hostile::run()?,
            Part::Http => http::run(arguments.quick)?,
            Part::Sql => sql::run(arguments.quick)?,
            Part::Redis => redis::run(arguments.quick)?,
        };
        report.rows.extend(rows);
    }
    println!("{}", report.tables());
    if let Some(path) = arguments.rows {
        report.write(&path)?;
    }
    Ok(())
}
