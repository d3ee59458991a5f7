//! A Redis master, its replica, and a sentinel that watches them.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    Process, Program, Redis, ServerError,
    folder::Folder,
    port::{READY_WITHIN, on_free_port},
    process::Launch,
    redis::ask,
    secret,
};

/// A master and a replica with one password, and the sentinel that makes the replica the master when the master is gone for
/// half a second.
#[derive(Debug)]
pub struct RedisSentinel {
    sentinel: Process,
    address: SocketAddr,
    password: String,
    servers: [Redis; 2],
    // Dropped after the process.
    _folder: Folder,
}

impl RedisSentinel {
    /// What the sentinel calls the master.
    pub const MASTER: &str = "mymaster";

    /// Starts all three. Blocks until the sentinel knows a replica that could take over.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        let password = secret::random()?;
        let auth = format!("masterauth {password}\nrepl-diskless-sync-delay 0\n");
        let server = |settings: String| {
            let folder = Folder::temporary(Program::REDIS_SERVER)?;
            Redis::launch(folder, &password, move |_port| Ok(settings.clone()))
        };
        let master = server(auth.clone())?;
        let at = master.address();
        let mut replica = server(format!("{auth}replicaof {} {}\n", at.ip(), at.port()))?;
        // A sentinel that sees it before looks again only after ten seconds.
        let of_replica = replica.address();
        let is_connected = || ask(of_replica, &password, "ROLE").is_ok_and(|reply| reply.contains("connected"));
        replica.process().wait_until(READY_WITHIN, || is_connected().then_some(()))?;

        let folder = Folder::temporary(Program::REDIS_SERVER)?;
        let (mut sentinel, address) = on_free_port(Program::REDIS_SERVER, |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let configuration = folder.write_private("sentinel.conf", &configuration(address, at, &password), None)?;
            let arguments = vec![configuration.display().to_string(), "--sentinel".to_owned()];
            let mut sentinel = Launch::new(Program::REDIS_SERVER.locate()?, arguments).start(&folder.log())?;
            let answers = || ask(address, &password, "PING").is_ok_and(|reply| reply.contains("+PONG"));
            sentinel.wait_until(READY_WITHIN, || answers().then_some(()))?;
            Ok((sentinel, address))
        })?;
        let question = format!("SENTINEL REPLICAS {}", Self::MASTER);
        sentinel.wait_until(READY_WITHIN, || {
            let reply = ask(address, &password, &question).unwrap_or_default();
            let mut lines = reply.lines().map(str::trim).skip_while(|line| *line != "master-link-status");
            lines.nth(2).filter(|status| *status == "ok").map(drop)
        })?;
        Ok(Self { sentinel, address, password, servers: [master, replica], _folder: folder })
    }

    /// The URL of the sentinel, with its password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@{}/", self.password, self.address)
    }

    /// The password of the sentinel and of both servers.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The first master.
    pub fn master(&mut self) -> &mut Redis {
        let [master, _] = &mut self.servers;
        master
    }

    /// The first replica.
    pub fn replica(&mut self) -> &mut Redis {
        let [_, replica] = &mut self.servers;
        replica
    }

    /// Blocks until the replica is the master, and the sentinel says so.
    ///
    /// # Errors
    /// [`ServerError::NotReady`] if that never happens.
    pub fn wait_for_failover(&mut self) -> Result<(), ServerError> {
        let [_, replica] = &self.servers;
        let port = replica.address().port().to_string();
        let question = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {}", Self::MASTER);
        let (address, password) = (self.address, &self.password);
        self.sentinel.wait_until(READY_WITHIN, || {
            let names_it = ask(address, password, &question).is_ok_and(|reply| reply.contains(&port));
            let is_it = replica.ask("ROLE").is_ok_and(|reply| reply.contains("master"));
            (names_it && is_it).then_some(())
        })
    }
}

fn configuration(address: SocketAddr, master: SocketAddr, password: &str) -> String {
    let name = RedisSentinel::MASTER;
    format!(
        "bind {}\nport {}\nrequirepass {password}\nsentinel monitor {name} {} {} 1\nsentinel auth-pass {name} {password}\n\
         sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 5000\n",
        address.ip(),
        address.port(),
        master.ip(),
        master.port(),
    )
}
