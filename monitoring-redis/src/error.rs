//! What can go wrong with a pool. What goes wrong with a command is a `RedisError`, as without the wrapper.

use std::fmt;

use deadpool_redis::redis::RedisError;
use deadpool_redis::{ConfigError, TimeoutType};
use thiserror::Error;

/// A pool cannot be set up. No server is asked for that, so the mistake is in the settings.
#[derive(Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL, or the settings of the connection, cannot be used. The URL is not repeated: it may hold a password.
    #[error(
        "the Redis URL or connection of pool `{pool}` is invalid: {source}; \
         it has the form redis://[user:password@]host[:port][/database]"
    )]
    Connection {
        /// The pool's name.
        pool: Box<str>,
        /// What is wrong with it.
        source: ConfigError,
    },

    /// The settings of the pool itself cannot be used.
    #[error("the settings of the Redis pool `{pool}` cannot be used: {source}")]
    Pool {
        /// The pool's name.
        pool: Box<str>,
        /// What is wrong with them.
        source: deadpool_redis::BuildError,
    },
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// There is no connection to be had.
#[derive(Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The server cannot be reached, or turns us away.
    #[error(
        "the Redis pool `{pool}` cannot connect to {server}: {source}; \
         is the server running, and are the address and the password of its URL right?"
    )]
    Connect {
        /// The pool's name.
        pool: Box<str>,
        /// The server's address, without credentials.
        server: Box<str>,
        /// What happened.
        source: RedisError,
    },

    /// There was no connection within the time-outs of the pool.
    #[error("the Redis pool `{pool}` gave no connection in time: {}", remedy(*.during))]
    Timeout {
        /// The pool's name.
        pool: Box<str>,
        /// What took too long.
        during: TimeoutType,
    },

    /// The pool is closed.
    #[error("the Redis pool `{pool}` is closed")]
    Closed {
        /// The pool's name.
        pool: Box<str>,
    },

    /// A pool that was built elsewhere refuses: a hook of it, or its having time-outs but no runtime.
    #[error("the Redis pool `{pool}` gives no connection: {source}")]
    Refused {
        /// The pool's name.
        pool: Box<str>,
        /// What deadpool says.
        source: Box<deadpool_redis::PoolError>,
    },
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for PoolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn remedy(during: TimeoutType) -> &'static str {
    match during {
        TimeoutType::Wait => {
            "all were in use; hold them for less long, or raise `max_size` or `timeouts.wait` of its `PoolConfig`"
        }
        TimeoutType::Create => {
            "the server was slow to accept a new one; `timeouts.create` of its `PoolConfig` ended the wait"
        }
        TimeoutType::Recycle => {
            "the server was slow to answer on an idle one; see `timeouts.recycle` of its `PoolConfig`"
        }
    }
}

impl PoolError {
    pub(crate) fn new(pool: &str, server: &str, error: deadpool_redis::PoolError) -> Self {
        let pool = pool.into();
        match error {
            deadpool_redis::PoolError::Backend(source) => Self::Connect { pool, server: server.into(), source },
            deadpool_redis::PoolError::Timeout(during) => Self::Timeout { pool, during },
            deadpool_redis::PoolError::Closed => Self::Closed { pool },
            refused
            @ (deadpool_redis::PoolError::NoRuntimeSpecified | deadpool_redis::PoolError::PostCreateHook(_)) => {
                Self::Refused { pool, source: Box::new(refused) }
            }
        }
    }
}
