//! A child process that cannot be forgotten.

use std::{
    env, fs,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{ServerError, account::Account};

/// How long a process may take to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
const LOG_TAIL_LINES: usize = 25;
const LOG_TAIL_BYTES: u64 = 16 * 1024;

/// A running program in its own process group, its output in a log file.
///
/// Dropping it asks the whole group to end and kills what is left after five seconds. What the program leaves
/// of its group when it ends by itself is killed as soon as that end is seen. Should the parent be killed
/// itself, the kernel ends the child (through `setpriv`, where that is installed).
/// If the thread that drops it is panicking, the end of the log is printed and the log is kept.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    reaped: bool,
    stop: Stop,
    log: PathBuf,
}

impl Process {
    /// The name of the program's file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the process, which is also the id of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds all the program has printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(cannot read {}: {error})", self.log.display()))
    }

    /// How the program ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.has_ended() { self.reap() } else { None }
    }

    /// Waits until `ready` returns something, polling.
    ///
    /// # Errors
    /// [`ServerError::Ended`] if the program ends first, [`ServerError::NotReady`] if `deadline` passes.
    pub fn wait_until<T>(
        &mut self,
        deadline: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, ServerError> {
        let started = Instant::now();
        loop {
            let answer = ready();
            // Looked at after the answer: another process may have answered on a port that ours could not get.
            if let Some(status) = self.exit_status() {
                return Err(ServerError::Ended { program: self.name.clone(), status, log: self.log_tail() });
            }
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if started.elapsed() > deadline {
                return Err(ServerError::NotReady {
                    program: self.name.clone(),
                    waited: deadline,
                    log: self.log_tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the program to end, and kills its group if it has not after `patience`.
    /// Returns how it ended; `None` if it had to be killed.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        let mut ended = self.has_ended();
        if !ended {
            // A failure means that the group is gone, which is what is wanted.
            let _ = kill_process_group(self.group, self.stop.signal());
        }
        let started = Instant::now();
        while !ended && started.elapsed() < patience {
            thread::sleep(POLL);
            ended = self.has_ended();
        }
        self.reap().filter(|_| ended)
    }

    /// Whether the leader has ended, without reaping it.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.reaped || matches!(waitid(WaitId::Pid(self.group), options), Ok(Some(_)) | Err(_))
    }

    /// Kills what is left of the group, and waits for the leader.
    fn reap(&mut self) -> Option<ExitStatus> {
        if !self.reaped {
            // Until the leader is reaped, its id, which names the group, cannot have been given to others.
            let _ = kill_process_group(self.group, Signal::KILL);
            self.reaped = true;
        }
        self.child.wait().ok()
    }

    fn keep_log(&self) {
        let kept = env::temp_dir().join(format!("{}-{}.log", self.name, self.id()));
        eprintln!("the end of the log of {}:\n{}", self.name, self.log_tail());
        if fs::copy(&self.log, &kept).is_ok() {
            eprintln!("the whole log is kept as {}", kept.display());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(PATIENCE);
        if thread::panicking() {
            self.keep_log();
        }
    }
}

/// How a process is asked to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// By `SIGTERM`.
    Terminate,
    /// By `SIGQUIT`.
    Quit,
}

impl Stop {
    fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::TERM,
            Self::Quit => Signal::QUIT,
        }
    }

    /// The name that `setpriv` knows; it takes no numbers.
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Quit => "QUIT",
        }
    }
}

/// How a process is to be started.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    account: Option<Account>,
    stop: Stop,
}

impl Launch {
    /// A start of `program` with `arguments`, as the caller's user; it will be ended by `SIGTERM`.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments, environment: Vec::new(), account: None, stop: Stop::Terminate }
    }

    /// Adds a variable to the environment, which unlike arguments is not shown to other users of the machine.
    #[must_use]
    pub fn variable(mut self, name: &str, value: String) -> Self {
        self.environment.push((name.to_owned(), value));
        self
    }

    /// Runs as `account`, or as the caller if `None`.
    pub(super) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Asks the process to end by `stop` instead of `SIGTERM`.
    pub(super) fn stop_by(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Starts it; standard output and standard error go to the file `log`, whose folder it starts
    /// in if it runs as the caller.
    ///
    /// # Errors
    /// [`ServerError::Spawn`] if the log cannot be written or the program cannot be executed.
    pub fn start(self, log: &Path) -> Result<Process, ServerError> {
        let name = self
            .program
            .file_name()
            .map_or_else(|| self.program.display().to_string(), |name| name.to_string_lossy().into_owned());
        let spawned = self.command(log).and_then(spawn).map(|child| (Pid::from_child(&child), child));
        match spawned {
            Ok((group, child)) => {
                Ok(Process { name, child, group, reaped: false, stop: self.stop, log: log.to_owned() })
            }
            Err(source) => Err(ServerError::Spawn { program: name, path: self.program, source }),
        }
    }

    fn command(&self, log: &Path) -> io::Result<Command> {
        let output = File::create(log)?;
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", self.stop.name(), "--"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        match (self.account, log.parent()) {
            // Another account may not be allowed into the folder of the log.
            (Some(account), _) => {
                account.apply_to(&mut command);
                command.current_dir("/");
            }
            (None, Some(folder)) => {
                command.current_dir(folder);
            }
            (None, None) => {}
        }
        Ok(command)
    }
}

/// `setpriv` of util-linux, which has the kernel end a child when its parent is gone.
fn setpriv() -> Option<&'static Path> {
    ["/usr/bin/setpriv", "/bin/setpriv"].map(Path::new).into_iter().find(|path| path.exists())
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The thread that starts all children. The kernel takes the end of the *thread* that started a child for
/// the end of its parent, so that thread has to live as long as the process, which a test's own does not.
static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, received) = mpsc::channel::<Order>();
    thread::spawn(move || {
        for (mut command, reply) in received {
            let _ = reply.send(command.spawn());
        }
    });
    orders
});

fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    STARTER.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
    Ok(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Launch::new("/bin/sh".into(), arguments).start(&folder.join("sh.log")).unwrap()
    }

    fn is_alive(id: &str) -> bool {
        // A killed grandchild may stay behind as a zombie until its new parent reaps it.
        fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn assert_ends(id: &str) {
        let started = Instant::now();
        while is_alive(id) {
            assert!(started.elapsed() < PATIENCE, "the grandchild lives on");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_dropped_process_takes_its_children_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("trap '' TERM; sleep 600 & echo $!; wait", folder.path());
        let log = process.log().to_owned();
        let child =
            process.wait_until(PATIENCE, || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n'))).unwrap();
        let child = child.trim();
        assert!(is_alive(child));

        assert_eq!(process.stop(Duration::from_millis(50)), None, "it ignores SIGTERM, so it is killed");
        assert_ends(child);
    }

    #[test]
    fn a_process_that_has_ended_by_itself_leaves_no_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("sleep 600 & echo $!; exit 7", folder.path());
        let seen = process.wait_until(PATIENCE, || None::<()>);
        assert!(matches!(seen, Err(ServerError::Ended { .. })), "{seen:?}");

        let child = fs::read_to_string(process.log()).unwrap();
        assert_eq!(process.stop(PATIENCE).and_then(|status| status.code()), Some(7));
        assert_ends(child.trim());
    }

    #[test]
    fn a_process_outlives_the_thread_that_started_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut process = thread::spawn(move || shell("sleep 600", &path)).join().unwrap();
        let seen = process.wait_until(Duration::from_millis(100), || None::<()>);
        assert!(matches!(seen, Err(ServerError::NotReady { .. })), "{seen:?}");
    }

    #[test]
    fn a_process_that_ends_early_is_reported_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo the disk is full; exit 7", folder.path());
        let error = process.wait_until(PATIENCE, || None::<()>).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh` ended (exit status: 7) before it was ready; the end of its log:\nthe disk is full"
        );
    }

    #[test]
    fn a_variable_reaches_the_process_but_not_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::new("/bin/sh".into(), vec!["-c".to_owned(), "echo \"<$SECRET>\"; sleep 600".to_owned()]);
        let mut process = launch.variable("SECRET", "xyzzy".to_owned()).start(&folder.path().join("sh.log")).unwrap();
        let log = process.log().to_owned();
        let printed =
            process.wait_until(PATIENCE, || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n'))).unwrap();
        assert_eq!(printed, "<xyzzy>\n");
        let arguments = fs::read_to_string(format!("/proc/{}/cmdline", process.id())).unwrap();
        assert!(!arguments.contains("xyzzy"), "{arguments}");
    }

    #[test]
    fn a_process_that_ends_when_asked_reports_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done", folder.path());
        let log = process.log().to_owned();
        process.wait_until(PATIENCE, || fs::read_to_string(&log).ok().filter(|text| text.contains("up"))).unwrap();
        assert_eq!(process.stop(PATIENCE).and_then(|status| status.code()), Some(3));
    }
}
