//! `cargo xtask bench`: ours beside the peers, on the same work.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use clap::Args;
use monitoring_benches::{Part, Report};
use thiserror::Error;

use crate::workspace::{self, CargoError};

/// How long to measure, and where to put what came out.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArguments {
    /// Measure each part for a few seconds only: good enough to see what has become several times slower.
    #[arg(long)]
    quick: bool,

    /// Write the tables of this run into docs/benchmarks.md.
    #[arg(long, conflicts_with = "quick")]
    write_docs: bool,
}

/// Why there are no figures.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Cargo(#[from] CargoError),

    #[error("the figures in {path} could not be read or written")]
    Figures { path: PathBuf, source: io::Error },

    #[error("{path} could not be read or written")]
    Docs { path: PathBuf, source: io::Error },

    #[error("{path} lacks the lines `{BEGIN}` and `{END}`, in that order, between which the tables go: put them back")]
    NoPlace { path: PathBuf },
}

/// The lines in docs/benchmarks.md between which the tables stand.
const BEGIN: &str = "<!-- what follows was written by `cargo xtask bench --write-docs` -->";
const END: &str = "<!-- here ends what it wrote -->";

/// Builds the benchmarks, runs each part in a process of its own, and merges what they report.
pub(crate) fn run(arguments: &BenchArguments) -> Result<(), BenchError> {
    const BENCH: [&str; 5] = ["bench", "--package", "monitoring-benches", "--bench", "compare"];
    workspace::run_cargo(&[&BENCH[..], &["--no-run"]].concat())?;

    let folder = workspace::target().join("bench");
    let mut report = Report::default();
    for part in Part::ALL {
        let path = folder.join(format!("{part}.json"));
        let rows = path.to_string_lossy();
        let mut command = [&BENCH[..], &["--", part.name(), "--rows", &*rows]].concat();
        command.extend(arguments.quick.then_some("--quick"));
        workspace::run_cargo(&command)?;
        let figures = Report::read(&path).map_err(|source| BenchError::Figures { path: path.clone(), source })?;
        report.rows.extend(figures.rows);
    }

    let summary = folder.join("summary.json");
    report.write(&summary).map_err(|source| BenchError::Figures { path: summary.clone(), source })?;
    println!("{}\n\n{}\n{}", report.goals(), reached(&report), summary.display());
    if arguments.write_docs {
        write_docs(&workspace::root().join("docs/benchmarks.md"), &report)?;
    }
    Ok(())
}

fn reached(report: &Report) -> String {
    let met: Vec<bool> = report.rows.iter().filter_map(monitoring_benches::Row::is_met).collect();
    format!("{} of {} goals are reached.", met.iter().filter(|met| **met).count(), met.len())
}

fn write_docs(path: &Path, report: &Report) -> Result<(), BenchError> {
    let failed = |source| BenchError::Docs { path: path.to_owned(), source };
    let page = fs::read_to_string(path).map_err(failed)?;
    let tables = format!(
        "{}\n\n{} {}\n\n{}\n\n{}",
        machine(),
        reached(report),
        COLUMNS,
        report.goals(),
        report.tables().trim_end()
    );
    let page = between(&page, &tables).ok_or_else(|| BenchError::NoPlace { path: path.to_owned() })?;
    fs::write(path, page).map_err(failed)
}

/// How to read the last column of the goals.
const COLUMNS: &str = "The last column is the best peer's value over ours: above 1 ours is better where the goal is a \
                       most (≤), below 1 where it is a least (≥).";

/// The page with `text` in its place.
fn between(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n\n{END}{after}"))
}

/// The machine of this run, in a sentence.
fn machine() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(env::consts::ARCH);
    let compiler = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    format!(
        "The last full run was on {} processors ({}, {}), {}, built in release mode.",
        thread::available_parallelism().map_or(1, usize::from),
        model.trim_start_matches([' ', '\t', ':']),
        env::consts::OS,
        String::from_utf8_lossy(&compiler).trim(),
    )
}

#[cfg(test)]
mod tests {
    use monitoring_benches::{Row, works};

    use super::*;

    #[test]
    fn the_tables_take_the_place_of_those_before() {
        let page = format!("# Benchmarks\n\n{BEGIN}\nold\n{END}\n\nThe end.\n");
        let once = between(&page, "new").unwrap();
        assert_eq!(once, format!("# Benchmarks\n\n{BEGIN}\n\nnew\n\n{END}\n\nThe end.\n"));
        assert_eq!(between(&once, "new").unwrap(), once);
    }

    #[test]
    fn a_page_without_a_place_for_them_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        fs::write(&path, format!("{END}\n{BEGIN}\n")).unwrap();
        let error = write_docs(&path, &Report::default()).unwrap_err();
        assert!(matches!(error, BenchError::NoPlace { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{END}\n{BEGIN}\n"));
    }

    #[test]
    fn the_page_in_the_repository_has_its_place() {
        let page = fs::read_to_string(workspace::root().join("docs/benchmarks.md")).unwrap();
        assert!(between(&page, "").is_some());
    }

    #[test]
    fn goals_are_counted_among_the_works_that_have_one() {
        let rows = [(works::HANDLE_1000, 31.0), (works::SCRAPE_THROUGHPUT, 1_300.0), (works::HOT_ALONE, 2.0)];
        let report = Report { rows: rows.iter().map(|(work, ours)| Row::new(work, *ours)).collect() };
        assert_eq!(reached(&report), "1 of 2 goals are reached.");
    }
}
