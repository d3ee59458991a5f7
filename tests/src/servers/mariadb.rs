//! MariaDB, which speaks MySQL's protocol.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::{
    Process, Program, ServerError,
    account::Account,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
    secret,
};

const USER: &str = "monitoring";
const DATABASE: &str = "monitoring";

/// A MariaDB server on a loopback port, with an empty database and a user who may do everything, with a random password.
///
/// It never runs as root: if the caller is root, it runs as `mysql`, or else as `nobody`. It does not wait for the disk, so it
/// is for tests, not for data.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    address: SocketAddr,
    password: String,
    // Dropped after the process.
    folder: Folder,
}

impl MariaDb {
    /// Starts a server whose data live in a temporary folder and are gone when it is dropped. Blocks until it accepts
    /// connections, which takes a few seconds.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        let account = Account::for_mariadb()?;
        let program = Program::MARIADBD.locate()?;
        let folder = Folder::reachable_by(account, Program::MARIADBD)?;
        let data = folder.make_private_folder("data", account)?;
        let password = secret::random()?;
        // In a file, since arguments can be read by all users of the machine.
        let set_up = folder.write_private("set-up.sql", &set_up(&password), account)?;
        initialise(&data, &folder, account)?;
        let (process, address) = on_free_port(Program::MARIADBD, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let launch = Launch::new(program.clone(), arguments(&data, &set_up, address)).account(account);
            let launch = launch.variable("TMPDIR", data.display().to_string());
            let mut process = launch.start(&folder.log())?;
            process.wait_until(READY_WITHIN, || greets(address).then_some(()))?;
            Ok((process, address))
        })?;
        Ok(Self { process, address, password, folder })
    }

    /// The URL of the database, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://{USER}:{}@{}/{DATABASE}", self.password, self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its data and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Makes the tables that the server keeps its own affairs in.
fn initialise(data: &Path, folder: &Folder, account: Option<Account>) -> Result<(), ServerError> {
    let arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        "--skip-test-db".to_owned(),
        "--auth-root-authentication-method=normal".to_owned(),
        "--skip-name-resolve".to_owned(),
    ];
    // Two that are made at a time must not share a folder of temporary files.
    let temporary = folder.make_private_folder("temporary", account)?.display().to_string();
    let launch = Launch::new(Program::MARIADB_INSTALL_DB.locate()?, arguments).account(account);
    let launch = launch.variable("TMPDIR", temporary);
    let mut process = launch.start(&folder.path().join("install.log"))?;
    match process.wait_until(READY_WITHIN, || None::<()>) {
        Err(ServerError::Ended { status, .. }) if status.success() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Run by the server before it accepts connections. Root has no password, so nobody may be root.
fn set_up(password: &str) -> String {
    format!(
        "CREATE DATABASE {DATABASE};\n\
         CREATE USER {USER} IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO {USER} WITH GRANT OPTION;\n\
         DELETE FROM mysql.global_priv WHERE user <> '{USER}';\n\
         FLUSH PRIVILEGES;\n"
    )
}

fn arguments(data: &Path, set_up: &Path, address: SocketAddr) -> Vec<String> {
    vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        format!("--socket={}", data.join("socket").display()),
        format!("--pid-file={}", data.join("pid").display()),
        format!("--bind-address={}", address.ip()),
        format!("--port={}", address.port()),
        format!("--init-file={}", set_up.display()),
        "--skip-name-resolve".to_owned(),
        "--skip-log-bin".to_owned(),
        "--innodb-buffer-pool-size=16M".to_owned(),
        "--innodb-log-file-size=8M".to_owned(),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
    ]
}

/// Whether the server says hello: a packet that begins with the version of its protocol, 10, and not with an error.
fn greets(address: SocketAddr) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut packet = [0; 5];
        connection.read_exact(&mut packet)?;
        Ok::<_, std::io::Error>(packet)
    };
    ask().is_ok_and(|[_, _, _, _, version]| version == 10)
}
