//! Tests that need a process of their own, whichever runner runs them.

use std::{env, io, process::Command};

/// Says in the child which test is to be run there.
const VARIABLE: &str = "MONITORING_TESTS_OWN_PROCESS";

/// Runs `test` in a process of its own: the test program, started again for the test of that name alone.
///
/// # Errors
/// If the process cannot be started.
///
/// # Panics
/// If the test fails there, with all it has printed.
pub fn in_own_process(name: &str, test: impl FnOnce()) -> io::Result<()> {
    in_own_process_with(name, |_| {}, test)
}

/// As [`in_own_process`], with that process started as `configure` says: its environment, its working directory.
///
/// # Errors
/// As [`in_own_process`].
///
/// # Panics
/// As [`in_own_process`].
pub fn in_own_process_with(name: &str, configure: impl FnOnce(&mut Command), test: impl FnOnce()) -> io::Result<()> {
    if env::var(VARIABLE).is_ok_and(|found| found == name) {
        test();
        return Ok(());
    }
    let program = env::current_exe()?;
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture"]).env(VARIABLE, name);
    configure(&mut command);
    let output = command.output()?;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "it failed in its own process ({}):\n{printed}", output.status);
    // A name that is misspelt would run nothing, and pass.
    assert!(printed.contains("1 passed"), "no test is called {name}:\n{printed}");
    print!("{printed}");
    Ok(())
}
