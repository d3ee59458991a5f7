//! Installs what tests and the demo need and the machine lacks, with apt, without starting any service.
//!
//! What needs root is one readable script, `install-packages.sh` beside this crate's manifest: it is run
//! directly by root, through `sudo` by others, and otherwise its exact command is printed.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use monitoring_tests::{
    prometheus_client,
    servers::{Program, ServerError},
};
use thiserror::Error;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install-packages.sh");

/// Something that must be on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A program, of a server or beside one.
    Program(Program),
    /// The Python module with the parsers that tests read expositions with.
    PrometheusClient,
}

impl Need {
    /// What the demo needs.
    pub(crate) fn of_demo() -> Vec<Self> {
        Program::ALL.map(Self::Program).to_vec()
    }

    /// What the tests need.
    pub(crate) fn of_tests() -> Vec<Self> {
        let programs = Program::OF_TESTS.iter().copied().map(Self::Program);
        Self::of_demo().into_iter().chain(programs).chain([Self::PrometheusClient]).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Program(program) => program.name(),
            Self::PrometheusClient => prometheus_client::MODULE,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Program(program) => program.package(),
            Self::PrometheusClient => prometheus_client::PACKAGE,
        }
    }

    fn find(self) -> Result<(), ServerError> {
        match self {
            Self::Program(program) => program.locate().map(drop),
            Self::PrometheusClient => prometheus_client::find(),
        }
    }
}

/// Makes sure that all `needs` are there, and says what it does.
///
/// # Errors
/// If some are missing and cannot be installed; the message has the command to run.
pub(crate) fn install_missing(needs: &[Need]) -> Result<(), PackagesError> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| need.find().is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<&str> = missing.iter().map(|need| need.package()).collect();
    let names: Vec<&str> = missing.iter().map(|need| need.name()).collect();
    println!("Missing on this machine: {}.", names.join(", "));

    let installation = Installation::new(Path::new(SCRIPT), &packages);
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(PackagesError::NotDebian);
    }
    let mut command = installation.command(Privilege::of_caller())?;
    println!(
        "Installing the Debian packages {} with apt; none is started as a service.",
        packages.iter().copied().collect::<Vec<_>>().join(", "),
    );
    let status = command.status().map_err(PackagesError::Run)?;
    if !status.success() {
        return Err(PackagesError::Failed { status, command: installation.by_hand() });
    }
    missing.into_iter().try_for_each(|need| need.find().map_err(PackagesError::from))
}

/// How the caller may become root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Privilege {
    /// It is root.
    Root,
    /// Through `sudo`, perhaps with a password.
    Sudo,
    /// Not from here.
    None,
}

impl Privilege {
    fn of_caller() -> Self {
        if rustix::process::geteuid().is_root() {
            return Self::Root;
        }
        // With no terminal nobody can type a password, so `sudo` must do without.
        let question: &[&str] = if io::stdin().is_terminal() { &["--version"] } else { &["--non-interactive", "true"] };
        let answer = Command::new("sudo").args(question).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if answer.is_ok_and(|status| status.success()) { Self::Sudo } else { Self::None }
    }
}

/// The script with its arguments.
struct Installation {
    words: Vec<OsString>,
}

impl Installation {
    fn new(script: &Path, packages: &BTreeSet<&str>) -> Self {
        let mut words = vec![script.as_os_str().to_owned()];
        words.extend(packages.iter().map(OsString::from));
        Self { words }
    }

    /// What a person would type.
    fn by_hand(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        format!("sh {}", words.join(" "))
    }

    fn command(&self, privilege: Privilege) -> Result<Command, PackagesError> {
        let mut command = match privilege {
            Privilege::Root => Command::new("sh"),
            Privilege::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("sh");
                command
            }
            Privilege::None => return Err(PackagesError::NotRoot { command: self.by_hand() }),
        };
        command.args(&self.words);
        Ok(command)
    }
}

/// Why something that is missing was not installed.
#[derive(Debug, Error)]
pub(crate) enum PackagesError {
    #[error(
        "installing packages needs root, and there is no sudo to become it; run this as root, then try again:\n    {command}"
    )]
    NotRoot { command: String },

    #[error(
        "this is no Debian (there is no apt-get); install PostgreSQL 15, Redis 7 and Prometheus 2.42, or newer ones, \
         so that `postgres`, `redis-server`, `prometheus` and `promtool` are found in PATH, and for the tests the module \
         `prometheus_client` for /usr/bin/python3"
    )]
    NotDebian,

    #[error(
        "the installation ended with {status}; its output is above, and the command to repeat it as root is:\n    {command}"
    )]
    Failed { status: ExitStatus, command: String },

    #[error("the installation could not be started")]
    Run(#[source] io::Error),

    #[error("the packages are installed, but something is still missing")]
    StillMissing(#[from] ServerError),
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

    use super::*;

    const POLICY: &str = "usr/sbin/policy-rc.d";
    const CLUSTERS: &str = "etc/postgresql-common/createcluster.conf";

    /// A machine with a scripted `apt-get`, which notes what it is asked and what the two files hold meanwhile.
    struct Machine {
        root: tempfile::TempDir,
    }

    impl Machine {
        fn new(apt_get: &str) -> Self {
            let machine = Self { root: tempfile::tempdir().unwrap() };
            machine.program("apt-get", &format!("echo \"apt-get $*\" >>\"$INSTALL_PACKAGES_ROOT/calls\"\n{apt_get}"));
            machine.program("systemctl", "echo \"systemctl $*\" >>\"$INSTALL_PACKAGES_ROOT/calls\"");
            machine.write("lib/systemd/system/redis-server.service", "");
            machine
        }

        fn program(&self, name: &str, script: &str) {
            self.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.path(&format!("bin/{name}")), executable).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.path(name)).ok()
        }

        fn install(&self, packages: &[&str]) -> Output {
            self.install_by(Path::new(SCRIPT), packages)
        }

        fn install_by(&self, script: &Path, packages: &[&str]) -> Output {
            let path = format!("{}:{}", self.path("bin").display(), env::var("PATH").unwrap());
            let packages = packages.iter().copied().collect();
            let mut command = Installation::new(script, &packages).command(Privilege::Root).unwrap();
            command.env("INSTALL_PACKAGES_ROOT", self.root.path()).env("PATH", path).output().unwrap()
        }
    }

    const COPY_BOTH: &str = "cp \"$INSTALL_PACKAGES_ROOT/usr/sbin/policy-rc.d\" \"$INSTALL_PACKAGES_ROOT/policy-seen\"
        cp \"$INSTALL_PACKAGES_ROOT/etc/postgresql-common/createcluster.conf\" \"$INSTALL_PACKAGES_ROOT/clusters-seen\"";

    #[test]
    fn services_and_clusters_are_held_back_only_while_packages_are_installed() {
        let machine = Machine::new(COPY_BOTH);
        machine.write(CLUSTERS, "ssl = on\n");
        let output = machine.install(&["postgresql", "redis-server"]);
        assert!(output.status.success(), "{output:?}");

        assert!(machine.read("policy-seen").unwrap().ends_with("exit 101\n"));
        assert_eq!(machine.read("clusters-seen").unwrap(), "ssl = on\n\ncreate_main_cluster = false\n");
        assert_eq!(machine.read(POLICY), None, "there was no policy before");
        assert_eq!(machine.read(CLUSTERS).unwrap(), "ssl = on\n");
        assert_eq!(
            machine.read("calls").unwrap().lines().collect::<Vec<_>>(),
            [
                "apt-get -q -o DPkg::Lock::Timeout=120 -y -o Dpkg::Use-Pty=0 --no-install-recommends --download-only install postgresql-common",
                "apt-get -q -o DPkg::Lock::Timeout=120 -y -o Dpkg::Use-Pty=0 --no-install-recommends install postgresql-common",
                "apt-get -q -o DPkg::Lock::Timeout=120 -y -o Dpkg::Use-Pty=0 --no-install-recommends --download-only install postgresql redis-server",
                "apt-get -q -o DPkg::Lock::Timeout=120 -y -o Dpkg::Use-Pty=0 --no-install-recommends install postgresql redis-server",
                "systemctl --quiet disable redis-server.service",
            ]
        );
    }

    #[test]
    fn both_files_are_put_back_when_the_installation_fails() {
        let machine = Machine::new("case \"$*\" in *install*redis-server) exit 100 ;; esac");
        machine.write(POLICY, "#!/bin/sh\nexit 0\n");
        machine.write(CLUSTERS, "ssl = on\n");
        let output = machine.install(&["postgresql", "redis-server"]);
        assert!(!output.status.success(), "{output:?}");
        assert_eq!(machine.read(POLICY).unwrap(), "#!/bin/sh\nexit 0\n");
        assert_eq!(machine.read(CLUSTERS).unwrap(), "ssl = on\n");
    }

    #[test]
    fn what_a_killed_run_left_is_put_back_by_the_next() {
        let machine = Machine::new("kill -KILL $PPID");
        machine.write(POLICY, "#!/bin/sh\nexit 0\n");
        assert!(!machine.install(&["redis-server"]).status.success());
        assert!(machine.read(POLICY).unwrap().ends_with("exit 101\n"), "nothing could put it back");

        machine.program("apt-get", "exit 0");
        assert!(machine.install(&["redis-server"]).status.success());
        assert_eq!(machine.read(POLICY).unwrap(), "#!/bin/sh\nexit 0\n");
    }

    #[test]
    fn two_runs_at_a_time_take_turns_though_they_are_of_two_checkouts() {
        let machine = Machine::new(
            "mkdir \"$INSTALL_PACKAGES_ROOT/busy\" || touch \"$INSTALL_PACKAGES_ROOT/collided\"
            sleep 0.05
            rmdir \"$INSTALL_PACKAGES_ROOT/busy\"",
        );
        machine.write(POLICY, "#!/bin/sh\nexit 0\n");
        let copy = machine.path("install-packages.sh");
        fs::copy(SCRIPT, &copy).unwrap();
        std::thread::scope(|scope| {
            let machine = &machine;
            let scripts = [Path::new(SCRIPT), &copy];
            let runs = scripts.map(|script| scope.spawn(move || machine.install_by(script, &["redis-server"])));
            for run in runs {
                let output = run.join().unwrap();
                assert!(output.status.success(), "{output:?}");
            }
        });
        assert_eq!(machine.read("collided"), None, "both ran apt-get at a time");
        assert_eq!(machine.read(POLICY).unwrap(), "#!/bin/sh\nexit 0\n");
    }

    #[test]
    fn package_lists_are_refreshed_when_a_download_fails() {
        let machine = Machine::new(
            "case \"$*\" in
                *update) touch \"$INSTALL_PACKAGES_ROOT/updated\" ;;
                *) test -e \"$INSTALL_PACKAGES_ROOT/updated\" ;;
            esac",
        );
        let output = machine.install(&["redis-server"]);
        assert!(output.status.success(), "{output:?}");
        let calls = machine.read("calls").unwrap();
        assert_eq!(calls.matches("apt-get -q -o DPkg::Lock::Timeout=120 update\n").count(), 1, "{calls}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("could not be downloaded; trying again after apt-get update"), "{printed}");
    }

    #[test]
    fn without_root_or_sudo_the_command_to_run_is_printed() {
        let packages = BTreeSet::from(["prometheus", "redis-server"]);
        let installation = Installation::new(Path::new("/src/xtask/install-packages.sh"), &packages);
        let error = installation.command(Privilege::None).unwrap_err().to_string();
        assert!(error.ends_with("\n    sh /src/xtask/install-packages.sh prometheus redis-server"), "{error}");

        let command = installation.command(Privilege::Sudo).unwrap();
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(words, ["sh", "/src/xtask/install-packages.sh", "prometheus", "redis-server"]);
    }
}
