//! Free loopback ports.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use super::{Program, ServerError};

/// How long a server may take until it answers; long, because a busy machine is no failure.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(60);

const ATTEMPTS: usize = 5;

/// Runs `start` with a free port. Between the choice of a port and the server's `bind` another process may
/// take it: the server then ends with "address in use" in its log, and the next port is tried.
pub(super) fn on_free_port<T>(
    program: Program,
    mut start: impl FnMut(u16) -> Result<T, ServerError>,
) -> Result<T, ServerError> {
    for _ in 0..ATTEMPTS {
        match start(free_port(program)?) {
            Err(ServerError::Ended { log, .. }) if names_a_port_in_use(&log) => {}
            result => return result,
        }
    }
    Err(ServerError::PortInUse { program: program.name(), attempts: ATTEMPTS })
}

pub(super) fn free_port(program: Program) -> Result<u16, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| ServerError::NoFreePort { program: program.name(), source })
}

fn names_a_port_in_use(log: &str) -> bool {
    log.to_ascii_lowercase().contains("address already in use")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    fn ended(log: &str) -> ServerError {
        ServerError::Ended { program: "redis-server".into(), status: ExitStatus::from_raw(256), log: log.into() }
    }

    #[test]
    fn a_port_taken_in_between_leads_to_another_attempt() {
        let mut attempts = 0;
        let port = on_free_port(Program::REDIS_SERVER, |port| {
            attempts += 1;
            if attempts == 1 { Err(ended("bind: Address already in use")) } else { Ok(port) }
        });
        assert!(port.unwrap() > 0);
        assert_eq!(attempts, 2);
    }

    #[test]
    fn another_failure_is_reported_at_once() {
        let mut attempts = 0;
        let result = on_free_port(Program::REDIS_SERVER, |_| {
            attempts += 1;
            Err::<(), _>(ended("out of memory"))
        });
        assert!(matches!(result, Err(ServerError::Ended { .. })));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn ports_that_are_always_taken_end_in_an_error_that_says_so() {
        let error = on_free_port(Program::PROMETHEUS, |_| Err::<(), _>(ended("address already in use"))).unwrap_err();
        assert_eq!(error.to_string(), "`prometheus` found its port in use, 5 times with another free port each time");
    }
}
