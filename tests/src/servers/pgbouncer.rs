//! A pooler in front of PostgreSQL.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{
    PostgreSql, Process, Program, ServerError,
    account::Account,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
};

/// PgBouncer in transaction mode, as Supabase's pooler is: a client has a connection of the server only for as long as a
/// transaction lasts.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
    address: SocketAddr,
    url: String,
    // Dropped after the process.
    folder: Folder,
}

impl PgBouncer {
    /// Starts a pooler that has at most so many connections to the server. Blocks until it answers.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(server: &PostgreSql, connections: u32) -> Result<Self, ServerError> {
        let account = Account::for_postgresql()?;
        let folder = Folder::reachable_by(account, Program::PGBOUNCER)?;
        let program = Program::PGBOUNCER.locate()?;
        let (user, password) = server.credentials();
        let users = folder.write_private("users.txt", &format!("\"{user}\" \"{password}\"\n"), account)?;
        let (process, address) = on_free_port(Program::PGBOUNCER, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let configuration = format!(
                "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {connections}\nmax_client_conn = 200\nignore_startup_parameters = extra_float_digits\n",
                server.address().ip(),
                server.address().port(),
                address.ip(),
                users.display(),
            );
            let file = folder.write_private("pgbouncer.ini", &configuration, account)?;
            let launch = Launch::new(program.clone(), vec![file.display().to_string()]).account(account);
            let mut process = launch.start(&folder.log())?;
            process.wait_until(READY_WITHIN, || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())?;
            Ok((process, address))
        })?;
        let url = server.url().replace(&server.address().to_string(), &address.to_string());
        Ok(Self { process, address, url, folder })
    }

    /// The URL of the database through the pooler, with user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its log and configuration.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
