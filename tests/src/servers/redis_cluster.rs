//! A Redis cluster.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    Program, Redis, ServerError,
    folder::Folder,
    port::{READY_WITHIN, free_port},
    secret,
};

/// The slots of each node, and with it how many nodes there are: the fewest that a cluster has.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Three masters without replicas, each with a third of the slots, and one password.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes and makes them a cluster. Blocks until all of them say that it is one.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start() -> Result<Self, ServerError> {
        let password = secret::random()?;
        let settings = |_port| {
            // The default bus port, ten thousand above the other one, may be taken or past the last one.
            let bus = free_port(Program::REDIS_SERVER)?;
            Ok(format!("cluster-enabled yes\ncluster-port {bus}\nmasterauth {password}\n"))
        };
        let start = |_slots| Redis::launch(Folder::temporary(Program::REDIS_SERVER)?, &password, settings);
        let nodes = SLOTS.iter().map(start).collect::<Result<Vec<Redis>, ServerError>>()?;
        let mut cluster = Self { nodes };
        cluster.join().map_err(|source| ServerError::Request { program: Program::REDIS_SERVER.name(), source })?;
        cluster.wait()?;
        Ok(cluster)
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The URLs of all nodes, with their password.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// Makes a slot that has no keys belong to that node, and tells only the nodes: a client that knew the cluster before is
    /// redirected when it asks for the slot.
    ///
    /// # Errors
    /// When a node cannot be reached.
    pub fn move_slot(&self, slot: u16, to: usize) -> io::Result<()> {
        let owner = self.nodes.get(to).ok_or(io::ErrorKind::NotFound)?;
        let reply = owner.ask("CLUSTER MYID")?;
        let id = reply.lines().map(str::trim).find(|line| line.len() == 40).ok_or(io::ErrorKind::InvalidData)?;
        for node in &self.nodes {
            node.ask(&format!("CLUSTER SETSLOT {slot} NODE {id}"))?;
        }
        Ok(())
    }

    fn join(&self) -> io::Result<()> {
        for (epoch, (node, (first, last))) in self.nodes.iter().zip(SLOTS).enumerate() {
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", epoch + 1))?;
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
        }
        let [first, others @ ..] = self.nodes.as_slice() else { return Ok(()) };
        for node in others {
            let bus = node.ask("CONFIG GET cluster-port")?;
            let bus = bus.lines().map(str::trim).find(|line| line.parse::<u16>().is_ok()).unwrap_or("0").to_owned();
            first.ask(&format!("CLUSTER MEET {} {} {bus}", node.address().ip(), node.address().port()))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), ServerError> {
        let known = format!("cluster_known_nodes:{}", SLOTS.len());
        let started = Instant::now();
        for node in &mut self.nodes {
            let (address, password) = (node.address(), node.password().to_owned());
            let is_one = || {
                super::redis::ask(address, &password, "CLUSTER INFO")
                    .is_ok_and(|reply| reply.contains("cluster_state:ok") && reply.contains(&known))
            };
            let left = READY_WITHIN.saturating_sub(started.elapsed()).max(Duration::from_secs(1));
            node.process().wait_until(left, || is_one().then_some(()))?;
        }
        Ok(())
    }
}
