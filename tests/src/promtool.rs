//! Prometheus' own linter.

use std::{
    io::{ErrorKind, Write as _},
    process::{Command, Stdio},
};

use crate::servers::{Program, ServerError};

/// What `promtool check metrics` has to say about a scrape in the text format, one finding a line;
/// empty if it is content.
///
/// A text that cannot be parsed is a finding too. Costs the start of a process, some ten milliseconds.
///
/// # Errors
/// [`ServerError::Missing`] without Prometheus, [`ServerError::Spawn`] if the program cannot be run.
pub fn promtool_check(text: &str) -> Result<Vec<String>, ServerError> {
    let path = Program::PROMTOOL.locate()?;
    let run = || {
        let mut child = Command::new(&path)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It prints only after it has read all, so there is no reader to wait for.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output()?;
        match written {
            // A text that it cannot parse is not read to its end.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(output),
        }
    };
    let output = run().map_err(|source| ServerError::Spawn {
        program: Program::PROMTOOL.name().to_owned(),
        path: path.clone(),
        source,
    })?;
    let mut findings: Vec<String> = [&output.stdout, &output.stderr]
        .into_iter()
        .flat_map(|bytes| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    if findings.is_empty() && !output.status.success() {
        findings.push(format!("promtool ended with {} and said nothing", output.status));
    }
    Ok(findings)
}
