//! Redis.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::{
    Process, Program, ServerError,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
    secret,
};

/// A Redis server on a loopback port, empty, with a random password; nothing is written to disk unless it is told to.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    address: SocketAddr,
    password: String,
    settings: String,
    // Dropped after the process.
    folder: Folder,
}

impl Redis {
    /// Starts a server in a temporary folder. Blocks until it answers.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with("")
    }

    /// As [`start`](Self::start), with these lines of `redis.conf` besides.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_with(settings: &str) -> Result<Self, ServerError> {
        Self::launch(Folder::temporary(Program::REDIS_SERVER)?, &secret::random()?, |_port| Ok(settings.to_owned()))
    }

    /// As [`start`](Self::start), with configuration and log in `folder`, which is made if it does not
    /// exist. The log stays when the server is dropped.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_in(folder: &Path) -> Result<Self, ServerError> {
        Self::launch(Folder::given(folder, Program::REDIS_SERVER)?, &secret::random()?, |_port| Ok(String::new()))
    }

    /// A server with that password, and with the lines that `settings` gives for a free port.
    pub(super) fn launch(
        folder: Folder,
        password: &str,
        settings: impl Fn(u16) -> Result<String, ServerError>,
    ) -> Result<Self, ServerError> {
        let (process, address, settings) = on_free_port(Program::REDIS_SERVER, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let settings = settings(port)?;
            Ok((run(&folder, address, password, &settings)?, address, settings))
        })?;
        Ok(Self { process, address, password: password.to_owned(), settings, folder })
    }

    /// Starts it again at the same address and in the same folder, with these lines of configuration besides; if it still
    /// runs, it is ended first. Blocks until it answers, be it only that it is loading.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_again_with(&mut self, settings: &str) -> Result<(), ServerError> {
        self.process.stop(READY_WITHIN);
        let settings = format!("{}\n{settings}\n", self.settings);
        self.process = run(&self.folder, self.address, &self.password, &settings)?;
        Ok(())
    }

    /// What the server answers to a line, in its own protocol.
    ///
    /// # Errors
    /// When it cannot be reached, or is silent for 5 seconds.
    pub fn ask(&self, line: &str) -> io::Result<String> {
        ask(self.address, &self.password, line)
    }

    /// The URL of the server, with its password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The URL of another address at which the server is reached, such as that of a proxy, with its password.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://:{}@{address}/", self.password)
    }

    /// The password of its default user.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its configuration and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn run(folder: &Folder, address: SocketAddr, password: &str, settings: &str) -> Result<Process, ServerError> {
    let program = Program::REDIS_SERVER.locate()?;
    let text = format!(
        "bind {}\nport {}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n{settings}\n",
        address.ip(),
        address.port(),
    );
    // In a file, since arguments can be read by all users of the machine.
    let configuration = folder.write_private("redis.conf", &text, None)?;
    let mut process = Launch::new(program, vec![configuration.display().to_string()]).start(&folder.log())?;
    process.wait_until(READY_WITHIN, || is_there(address, password).then_some(()))?;
    Ok(process)
}

fn is_there(address: SocketAddr, password: &str) -> bool {
    ask(address, password, "PING").is_ok_and(|reply| reply.contains("+PONG") || reply.contains("-LOADING"))
}

/// What a server answers to a line.
pub(super) fn ask(address: SocketAddr, password: &str, line: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(connection, "AUTH {password}\r\n{line}\r\n")?;
    // The server answers, sees that no more comes, and hangs up. A sentinel knows no QUIT.
    connection.shutdown(Shutdown::Write)?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply)?;
    Ok(reply)
}
