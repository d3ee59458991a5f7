//! PostgreSQL.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    Process, Program, ServerError,
    account::Account,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::{Launch, Stop},
    secret,
};

const USER: &str = "monitoring";
const DATABASE: &str = "postgres";

/// A PostgreSQL server on a loopback port, empty, with a superuser and a random password.
///
/// It never runs as root: if the caller is root, it runs as `postgres`, or else as `nobody`.
/// It does not wait for the disk (`fsync` is off), so it is for tests and demos, not for data.
#[derive(Debug)]
pub struct PostgreSql {
    process: Process,
    address: SocketAddr,
    password: String,
    // The fields are dropped in this order: the process ends before its data are removed.
    data: DataFolder,
    folder: Folder,
}

impl PostgreSql {
    /// Starts a server whose data live in a temporary folder and are gone when it is dropped.
    /// Blocks until it accepts connections, which takes one or two seconds.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        let account = Account::for_postgresql()?;
        Self::launch(Folder::reachable_by(account, Program::POSTGRES)?, account)
    }

    /// As [`start`](Self::start), with data and log in `folder`, which is made if it does not exist and
    /// must hold no database yet. The log stays when the server is dropped.
    ///
    /// If the user that the server runs as cannot reach `folder` (a private home, for example), only the
    /// log is in it, and the data are in a temporary folder.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_in(folder: &Path) -> Result<Self, ServerError> {
        Self::launch(Folder::given(folder, Program::POSTGRES)?, Account::for_postgresql()?)
    }

    fn launch(folder: Folder, account: Option<Account>) -> Result<Self, ServerError> {
        let programs = Programs::locate()?;
        let data = DataFolder::prepare(&folder, account)?;
        let password = secret::random()?;
        programs.initialise(&data, &folder, account, &password)?;
        let (process, address) = on_free_port(Program::POSTGRES, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut process = programs.server(&data, address, account).start(&folder.log())?;
            process.wait_until(READY_WITHIN, || programs.is_ready(address).then_some(()))?;
            Ok((process, address))
        })?;
        Ok(Self { process, address, password, data, folder })
    }

    /// The URL of the database, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{}@{}/{DATABASE}", self.password, self.address)
    }

    /// The name and the password of the superuser.
    pub(super) fn credentials(&self) -> (&str, &str) {
        (USER, &self.password)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that holds its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data.path
    }

    /// The folder of its log, which also holds its data if that can be.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The data folder, inside the server's folder or, where that is out of reach, in a temporary one.
#[derive(Debug)]
struct DataFolder {
    path: PathBuf,
    temporary: Option<Folder>,
}

impl DataFolder {
    fn prepare(folder: &Folder, account: Option<Account>) -> Result<Self, ServerError> {
        let reachable = folder.is_temporary() || account.is_none_or(|account| account.reaches(folder.path()));
        let temporary = if reachable { None } else { Some(Folder::reachable_by(account, Program::POSTGRES)?) };
        let path = temporary.as_ref().unwrap_or(folder).make_private_folder("data", account)?;
        Ok(Self { path, temporary })
    }

    fn text(&self) -> String {
        self.path.display().to_string()
    }
}

struct Programs {
    postgres: PathBuf,
    initdb: PathBuf,
    pg_isready: PathBuf,
}

impl Programs {
    fn locate() -> Result<Self, ServerError> {
        Ok(Self {
            postgres: Program::POSTGRES.locate()?,
            initdb: Program::INITDB.locate()?,
            pg_isready: Program::PG_ISREADY.locate()?,
        })
    }

    fn initialise(
        &self,
        data: &DataFolder,
        folder: &Folder,
        account: Option<Account>,
        password: &str,
    ) -> Result<(), ServerError> {
        let home = data.temporary.as_ref().unwrap_or(folder);
        let password_file = home.write_private("password", password, account)?;
        let arguments = [
            format!("--pgdata={}", data.text()),
            format!("--username={USER}"),
            format!("--pwfile={}", password_file.display()),
            "--auth=scram-sha-256".to_owned(),
            "--encoding=UTF8".to_owned(),
            "--locale=C".to_owned(),
            "--no-sync".to_owned(),
        ];
        let log = folder.path().join("initdb.log");
        let mut process = Launch::new(self.initdb.clone(), arguments.into()).account(account).start(&log)?;
        let ended = process.wait_until(READY_WITHIN, || None::<()>);
        match ended {
            Err(ServerError::Ended { status, .. }) if status.success() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    fn server(&self, data: &DataFolder, address: SocketAddr, account: Option<Account>) -> Launch {
        let arguments = [
            "-D".to_owned(),
            data.text(),
            "-p".to_owned(),
            address.port().to_string(),
            "-c".to_owned(),
            format!("listen_addresses={}", address.ip()),
            "-c".to_owned(),
            "unix_socket_directories=".to_owned(),
            "-c".to_owned(),
            "fsync=off".to_owned(),
        ];
        // SIGQUIT is PostgreSQL's immediate shutdown: it waits for no client, and leaves no shared memory.
        Launch::new(self.postgres.clone(), arguments.into()).account(account).stop_by(Stop::Quit)
    }

    fn is_ready(&self, address: SocketAddr) -> bool {
        Command::new(&self.pg_isready)
            .args(["--quiet", "--host", &address.ip().to_string(), "--port", &address.port().to_string()])
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}
