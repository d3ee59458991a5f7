//! Why a call has failed, in one word of a closed set.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;

/// What went wrong with a call that got no response; label `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientError {
    /// The host's name cannot be resolved.
    Dns,
    /// Nothing listens, or there is no way there.
    Connect,
    /// There was no connection in the time for it.
    ConnectTimeout,
    /// The encrypted connection cannot be made.
    Tls,
    /// There was no response in the time for it.
    Timeout,
    /// The connection broke before the response was there.
    ConnectionLost,
    /// The response breaks the protocol.
    Protocol,
    /// Too many redirects, or one that may not be followed.
    Redirect,
    /// The request cannot be sent.
    Request,
    /// None of these.
    Other,
}

/// An error of a client, of which [`ClientError`] can be told. Implemented for the errors of hyper, hyper-util, tower's
/// layers (`BoxError`), `std::io`, and with their features reqwest and reqwest-middleware.
///
/// For an error of your own it is enough to give the error itself, which is then looked through together with its sources:
///
/// ```
/// # #[derive(Debug)] struct MyError(std::io::Error);
/// # impl std::fmt::Display for MyError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("failed") } }
/// # impl std::error::Error for MyError { fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) } }
/// use monitoring_core::client::{ClientError, FailedCall};
///
/// impl FailedCall for MyError {
///     fn error(&self) -> &(dyn std::error::Error + 'static) {
///         self
///     }
/// }
/// # let error = MyError(std::io::ErrorKind::ConnectionReset.into());
/// assert_eq!(error.client_error(), ClientError::ConnectionLost);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be told as a failure of a call",
    note = "implement `monitoring_core::client::FailedCall` for it, or turn it into a `Box<dyn Error + Send + Sync>`"
)]
pub trait FailedCall {
    /// The error.
    fn error(&self) -> &(dyn Error + 'static);

    /// What went wrong. Neither the request nor the text of the error becomes part of it.
    fn client_error(&self) -> ClientError {
        of(self.error())
    }
}

impl FailedCall for Box<dyn Error + Send + Sync> {
    fn error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl FailedCall for Infallible {
    fn error(&self) -> &(dyn Error + 'static) {
        match *self {}
    }
}

macro_rules! failed_call {
    ($($(#[$condition:meta])* $error:ty),* $(,)?) => {
        $(
            $(#[$condition])*
            impl FailedCall for $error {
                fn error(&self) -> &(dyn Error + 'static) {
                    self
                }
            }
        )*
    };
}

failed_call! {
    io::Error,
    hyper::Error,
    hyper_util::client::legacy::Error,
    #[cfg(feature = "reqwest")]
    reqwest::Error,
}

#[cfg(feature = "reqwest-middleware")]
impl FailedCall for reqwest_middleware::Error {
    fn error(&self) -> &(dyn Error + 'static) {
        within(self)
    }
}

/// What is known of a failure while its error is looked through, from the outside in.
#[derive(Default)]
struct Clues {
    /// It happened while the connection was being made.
    is_connecting: bool,
    is_timeout: bool,
}

/// The longest chain of sources that is looked through.
const MAX_SOURCES: usize = 32;

/// What the error, or the innermost of its sources that says so, tells.
fn of(error: &(dyn Error + 'static)) -> ClientError {
    let mut clues = Clues::default();
    let mut hint = None;
    let mut next = Some(error);
    // An error can be its own source.
    for _ in 0..MAX_SOURCES {
        let Some(error) = next else { break };
        match clues.look_at(error) {
            // What is further inside is of somebody else, as of whom a request's body comes from.
            Some(certain) if certain.is_certain() => return certain,
            found => hint = found.or(hint),
        }
        next = source(error);
    }
    match clues {
        Clues { is_connecting: true, is_timeout: true } => ClientError::ConnectTimeout,
        Clues { is_connecting: false, is_timeout: true } => ClientError::Timeout,
        Clues { is_connecting: true, is_timeout: false } => ClientError::Connect,
        Clues { is_connecting: false, is_timeout: false } => hint.unwrap_or(ClientError::Other),
    }
}

/// What the error comes from. Some errors hide what they hold from [`Error::source`].
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    #[cfg(feature = "reqwest-middleware")]
    if let Some(error) = error.downcast_ref::<reqwest_middleware::Error>() {
        return Some(within(error));
    }
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match held {
        Some(held) => Some(held),
        None => error.source(),
    }
}

#[cfg(feature = "reqwest-middleware")]
fn within(error: &reqwest_middleware::Error) -> &(dyn Error + 'static) {
    match error {
        reqwest_middleware::Error::Reqwest(error) => error,
        reqwest_middleware::Error::Middleware(error) => {
            let error: &(dyn Error + Send + Sync + 'static) = error.as_ref();
            error
        }
    }
}

/// Whether that is how the error shows itself. It is compared as it is written, so that no text of it is kept, nor does one
/// that cannot be written panic.
fn is_written(error: &(dyn Error + 'static), text: &str) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    fmt::write(&mut rest, format_args!("{error}")).is_ok() && rest.0.is_empty()
}

impl ClientError {
    fn is_certain(self) -> bool {
        matches!(self, Self::Dns | Self::Tls | Self::Redirect | Self::Request)
    }
}

impl Clues {
    fn look_at(&mut self, error: &(dyn Error + 'static)) -> Option<ClientError> {
        #[cfg(feature = "reqwest")]
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return self.look_at_reqwest(error);
        }
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            self.is_connecting |= error.is_connect();
            return None;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return self.look_at_hyper(error);
        }
        if error.is::<rustls::Error>() {
            return Some(ClientError::Tls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return self.look_at_io(error);
        }
        if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
            self.is_timeout = true;
            return None;
        }
        // hyper-util's connector has an error that cannot be named; this is how it begins, and it says nothing of the
        // request.
        is_written(error, "dns error").then_some(ClientError::Dns)
    }

    #[cfg(feature = "reqwest")]
    fn look_at_reqwest(&mut self, error: &reqwest::Error) -> Option<ClientError> {
        self.is_connecting |= error.is_connect();
        self.is_timeout |= error.is_timeout();
        if error.is_dns() {
            Some(ClientError::Dns)
        } else if error.is_redirect() {
            Some(ClientError::Redirect)
        } else if error.is_builder() {
            Some(ClientError::Request)
        } else {
            None
        }
    }

    fn look_at_hyper(&mut self, error: &hyper::Error) -> Option<ClientError> {
        self.is_timeout |= error.is_timeout();
        if error.is_user() || error.is_body_write_aborted() {
            Some(ClientError::Request)
        } else if error.is_parse() {
            Some(ClientError::Protocol)
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Some(ClientError::ConnectionLost)
        } else {
            // All that is left with a source other than a socket's error: HTTP/2 in which the peer has reset the stream, or
            // has said goodbye.
            error.source().filter(|source| !source.is::<io::Error>()).map(|_| ClientError::ConnectionLost)
        }
    }

    fn look_at_io(&mut self, error: &io::Error) -> Option<ClientError> {
        match error.kind() {
            io::ErrorKind::TimedOut => {
                self.is_timeout = true;
                None
            }
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => Some(ClientError::Connect),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Some(ClientError::ConnectionLost),
            io::ErrorKind::InvalidData => Some(ClientError::Protocol),
            _ => None,
        }
    }
}
