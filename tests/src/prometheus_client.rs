//! Python's `prometheus_client`, as a reader of expositions that somebody else wrote.
//!
//! It is Debian's package for the system's own `/usr/bin/python3`; another Python in `PATH` is not asked.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::servers::{Program, ServerError};

const SCRIPT: &str = include_str!("prometheus_client.py");

/// The name of the Python module.
pub const MODULE: &str = "prometheus_client";

/// The Debian package that holds it.
pub const PACKAGE: &str = "python3-prometheus-client";

/// Which of its parsers reads an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parser {
    /// That of the text format 0.0.4.
    Text,
    /// That of OpenMetrics 1.0.0, which also checks histograms, the order of lines, and exemplars.
    OpenMetrics,
}

/// What a parser has read of a metric.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClientFamily {
    /// The name: that of a counter without its `_total`.
    pub name: String,
    /// The type.
    pub kind: String,
    /// The help.
    pub help: String,
    /// The lines.
    pub samples: Vec<ClientSample>,
}

/// What a parser has read of one line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClientSample {
    /// The name on the line.
    pub name: String,
    /// All labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// The value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The exemplar, which OpenMetrics can carry.
    pub exemplar: Option<ClientExemplar>,
}

/// What a parser has read of an exemplar.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClientExemplar {
    /// All labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// The value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The time in seconds, as it is written.
    pub timestamp: Option<String>,
}

/// Reads each text with its parser: the metrics, or why the parser refuses the text.
///
/// All are read by one process, which costs about 0.1 seconds.
///
/// # Errors
/// [`ServerError::Missing`] without Python or the module, others if Python cannot be run.
pub fn read(texts: &[(Parser, &str)]) -> Result<Vec<Result<Vec<ClientFamily>, String>>, ServerError> {
    let unwritable = |source| ServerError::Folder { program: MODULE, path: std::env::temp_dir(), source };
    let mut files = Vec::new();
    let mut arguments = vec![OsString::from("-c"), OsString::from(SCRIPT)];
    for (parser, text) in texts {
        let mut file = tempfile::NamedTempFile::new().map_err(unwritable)?;
        file.write_all(text.as_bytes()).map_err(unwritable)?;
        arguments.push(match parser {
            Parser::Text => "text".into(),
            Parser::OpenMetrics => "openmetrics".into(),
        });
        arguments.push(file.path().into());
        files.push(file);
    }
    let output = python(&arguments)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed
        .lines()
        .map(|line| serde_json::from_str::<Verdict>(line).map(Verdict::into_result))
        .collect::<Result<_, _>>()
        .map_err(|error| ServerError::Ended {
            program: MODULE.to_owned(),
            status: output.status,
            log: error.to_string(),
        })
}

/// Makes sure that the module is there.
///
/// # Errors
/// [`ServerError::Missing`] names the package to install.
pub fn find() -> Result<(), ServerError> {
    python(&["-c".into(), format!("import {MODULE}").into()]).map(drop)
}

/// Runs the system's Python, apart from what the user's environment would add to it.
fn python(arguments: &[OsString]) -> Result<Output, ServerError> {
    let missing = ServerError::Missing { program: MODULE, package: PACKAGE };
    let Ok(path) = Program::PYTHON.locate_in(&[PathBuf::from("/usr/bin")]) else { return Err(missing) };
    let spawned = Command::new(&path).arg("-I").args(arguments).output();
    let output = spawned.map_err(|source| not_started(&path, source))?;
    let log = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(output),
        false if log.contains("ModuleNotFoundError") => Err(missing),
        false => {
            let (program, status, log) = (MODULE.to_owned(), output.status, log.into_owned());
            Err(ServerError::Ended { program, status, log })
        }
    }
}

fn not_started(path: &Path, source: std::io::Error) -> ServerError {
    ServerError::Spawn { program: Program::PYTHON.name().to_owned(), path: path.to_owned(), source }
}

/// A line that the script prints.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Families(Vec<ClientFamily>),
    Error(String),
}

impl Verdict {
    fn into_result(self) -> Result<Vec<ClientFamily>, String> {
        match self {
            Self::Families(families) => Ok(families),
            Self::Error(reason) => Err(reason),
        }
    }
}

/// Python writes infinities as `inf` and `-inf`, which Rust reads.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_total Of \\\\ all.\n# TYPE a_total counter\na_total{says=\"\\\"hi\\\"\\n\"} 3\n";

    #[test]
    fn a_text_is_read_with_its_labels_and_a_broken_one_is_refused() {
        let read = read(&[(Parser::Text, GOOD), (Parser::Text, "a{b=\"c} 1\n")]).unwrap();
        let [family] = read[0].as_ref().unwrap().as_slice() else { panic!("{read:?}") };
        assert_eq!((&*family.name, &*family.kind, &*family.help), ("a", "counter", "Of \\ all."));
        let [sample] = family.samples.as_slice() else { panic!("{family:?}") };
        assert_eq!((&*sample.name, sample.value), ("a_total", 3.0));
        assert_eq!(sample.labels, BTreeMap::from([("says".to_owned(), "\"hi\"\n".to_owned())]));
        assert!(read[1].as_ref().unwrap_err().contains("ValueError"), "{read:?}");
    }

    #[test]
    fn openmetrics_is_read_with_its_exemplars_and_must_have_an_end() {
        let line = "# TYPE a counter\na_total 3 # {trace_id=\"7f\"} 1.5 12.25\n";
        let read = read(&[(Parser::OpenMetrics, &format!("{line}# EOF\n")), (Parser::OpenMetrics, line)]).unwrap();
        let exemplar = read[0].as_ref().unwrap()[0].samples[0].exemplar.clone().unwrap();
        assert_eq!((exemplar.value, exemplar.timestamp.as_deref()), (1.5, Some("12.250000000")));
        assert_eq!(exemplar.labels["trace_id"], "7f");
        assert!(read[1].as_ref().unwrap_err().contains("EOF"), "{read:?}");
    }
}
