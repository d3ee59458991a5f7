//! Redis.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
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

/// A Redis server on a loopback port, empty, with a random password; nothing is written to disk.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    address: SocketAddr,
    password: String,
    // Dropped after the process.
    folder: Folder,
}

impl Redis {
    /// Starts a server in a temporary folder. Blocks until it answers.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        Self::launch(Folder::temporary(Program::REDIS_SERVER)?)
    }

    /// As [`start`](Self::start), with configuration and log in `folder`, which is made if it does not
    /// exist. The log stays when the server is dropped.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start_in(folder: &Path) -> Result<Self, ServerError> {
        Self::launch(Folder::given(folder, Program::REDIS_SERVER)?)
    }

    fn launch(folder: Folder) -> Result<Self, ServerError> {
        let program = Program::REDIS_SERVER.locate()?;
        let password = secret::random()?;
        let (process, address) = on_free_port(Program::REDIS_SERVER, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            // In a file, since arguments can be read by all users of the machine.
            let configuration = folder.write_private("redis.conf", &configuration(address, &password), None)?;
            let arguments = vec![configuration.display().to_string()];
            let mut process = Launch::new(program.clone(), arguments).start(&folder.log())?;
            process.wait_until(READY_WITHIN, || answers(address, &password).then_some(()))?;
            Ok((process, address))
        })?;
        Ok(Self { process, address, password, folder })
    }

    /// The URL of the server, with its password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@{}/", self.password, self.address)
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

fn configuration(address: SocketAddr, password: &str) -> String {
    format!(
        "bind {}\nport {}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n",
        address.ip(),
        address.port(),
    )
}

fn answers(address: SocketAddr, password: &str) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(connection, "AUTH {password}\r\nPING\r\nQUIT\r\n")?;
        let mut reply = String::new();
        connection.read_to_string(&mut reply)?;
        Ok::<_, std::io::Error>(reply)
    };
    ask().is_ok_and(|reply| reply.contains("+PONG"))
}
