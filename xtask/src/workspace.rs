//! Where everything is, and how cargo is called.

use std::{
    collections::BTreeMap,
    env, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use serde::Deserialize;
use thiserror::Error;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The folder that cargo builds in: it holds the folder of the profile, which holds this program.
pub(crate) fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).map_or_else(|| root().join("target"), Path::to_owned)
}

/// `cargo`, the one that runs this, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs a cargo command with its output shown.
///
/// # Errors
/// If it cannot be run, or ends with another code than 0.
pub(crate) fn run_cargo(arguments: &[&str]) -> Result<(), CargoError> {
    println!("$ cargo {}", arguments.join(" "));
    let status = cargo().args(arguments).status().map_err(CargoError::Run)?;
    if status.success() { Ok(()) } else { Err(CargoError::failed(arguments, status)) }
}

/// The programs that cargo has built, by name.
#[derive(Debug)]
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Builds `packages`, with cargo's progress shown.
    ///
    /// # Errors
    /// If cargo cannot be run, or the build fails.
    pub(crate) fn build(packages: &[&str]) -> Result<Self, CargoError> {
        let mut arguments = vec!["build", "--message-format=json-render-diagnostics"];
        arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
        let output = cargo().args(&arguments).stderr(Stdio::inherit()).output().map_err(CargoError::Run)?;
        if !output.status.success() {
            return Err(CargoError::failed(&arguments, output.status));
        }
        Ok(Self::of(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The path of a program.
    ///
    /// # Errors
    /// [`CargoError::NoProgram`] if the packages have no program of this name.
    pub(crate) fn get(&self, name: &'static str) -> Result<&Path, CargoError> {
        self.0.get(name).map(PathBuf::as_path).ok_or(CargoError::NoProgram { name })
    }

    fn of(messages: &str) -> Self {
        let programs = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Message>(line).ok())
            .filter_map(|message| Some((message.target?.name, message.executable?)));
        Self(programs.collect())
    }
}

/// One line of cargo's messages, of which only those about a program have `executable`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Why cargo did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum CargoError {
    #[error("cargo could not be run")]
    Run(#[source] io::Error),

    #[error("`cargo {command}` ended with {status}; its output is above")]
    Failed { command: String, status: ExitStatus },

    #[error("no program `{name}` was built")]
    NoProgram { name: &'static str },
}

impl CargoError {
    fn failed(arguments: &[&str], status: ExitStatus) -> Self {
        Self::Failed { command: arguments.join(" "), status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"monitoring_core"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"saas"},"executable":"/target/debug/saas"}
{"reason":"build-finished","success":true}
"#;
        let programs = Programs::of(messages);
        assert_eq!(programs.get("saas").unwrap(), Path::new("/target/debug/saas"));
        assert!(matches!(programs.get("monitoring_core"), Err(CargoError::NoProgram { .. })));
    }
}
