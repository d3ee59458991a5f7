//! Whether a page is answered.

use std::fmt;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::Target;
#[cfg(feature = "health-tls")]
use super::tls::Trust;
use crate::health::check::{Checking, HealthCheck, Passed};
use crate::health::error::InvalidTarget;
use crate::health::problem::{Problem, Reason};

#[cfg(not(feature = "health-tls"))]
const EXPECTED: &str = "a URL such as `http://rates.internal:8080/healthz`, without user and password; for https enable \
                        the feature `health-tls` of monitoring-core";
#[cfg(feature = "health-tls")]
const EXPECTED: &str = "a URL such as `https://rates.internal/healthz`, without user and password";

/// Asks for a page by `GET`, on a new connection, by HTTP/1.1. It passes if the status is from 200 to 299, unless set
/// otherwise; redirects are not followed, and the body is not read.
///
/// Ask for a page that is cheap to make and does not look at *its* dependencies: else one of them that is down makes every
/// service along the chain report a problem that is not its own.
#[derive(Clone)]
pub struct HttpGet {
    target: Target,
    request: Request<()>,
    expected: RangeInclusive<u16>,
    #[cfg(feature = "health-tls")]
    trust: Option<Trust>,
}

impl HttpGet {
    /// A check of that URL: `http://…`, or `https://…` with the feature `health-tls`, which trusts whom the system trusts.
    ///
    /// # Errors
    /// When the text is anything else, or holds a user or a password.
    pub fn new(url: &str) -> Result<Self, InvalidTarget> {
        let invalid = InvalidTarget { expected: EXPECTED };
        let uri: Uri = url.parse().map_err(|_error| invalid.clone())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| invalid.clone())?;
        let (is_encrypted, default_port) = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => (false, 80),
            Some(scheme) if *scheme == Scheme::HTTPS && cfg!(feature = "health-tls") => (true, 443),
            _ => return Err(invalid),
        };
        let target = Target::new(authority.host(), authority.port_u16().unwrap_or(default_port));
        let target = target.ok_or_else(|| invalid.clone())?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_error| invalid.clone())?;
        let page = uri.path_and_query().map_or("/", |page| page.as_str());
        let request = Request::get(page)
            .header(HOST, host)
            .header(USER_AGENT, concat!("monitoring-core/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(());
        #[cfg(not(feature = "health-tls"))]
        let _ = is_encrypted;
        Ok(Self {
            target,
            request: request.map_err(|_error| invalid)?,
            expected: 200..=299,
            #[cfg(feature = "health-tls")]
            trust: is_encrypted.then(Trust::system),
        })
    }

    /// The statuses with which it passes. Default `200..=299`.
    #[must_use]
    pub fn expect_status(mut self, statuses: RangeInclusive<u16>) -> Self {
        self.expected = statuses;
        self
    }

    /// For `https`: trusts these authorities, in place of those that the system trusts.
    #[cfg(feature = "health-tls")]
    #[must_use]
    pub fn trusting(mut self, authorities: rustls::RootCertStore) -> Self {
        self.trust = self.trust.map(|_system| Trust::only(authorities));
        self
    }

    async fn ask(&self) -> Result<Passed, Problem> {
        let stream = self.target.connect().await?;
        #[cfg(feature = "health-tls")]
        if let Some(trust) = &self.trust {
            return self.ask_on(trust.connect(&self.target.host, stream).await?).await;
        }
        self.ask_on(stream).await
    }

    async fn ask_on(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Passed, Problem> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(of_hyper)?;
        let request = self.request.clone().map(|()| Empty::<Bytes>::new());
        let mut answer = pin!(sender.send_request(request));
        // The connection lives in this future, so that nothing is left of it when the check is given up.
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // It may have brought the answer at its end; else that is the error why there is none.
            _ended = connection => answer.await,
        };
        self.judge(answer.map_err(of_hyper)?.status())
    }

    fn judge(&self, status: StatusCode) -> Result<Passed, Problem> {
        if self.expected.contains(&status.as_u16()) {
            return Ok(Passed::Well);
        }
        Err(Reason::UnexpectedStatus.because(format!("status {}", status.as_u16())))
    }
}

fn of_hyper(error: hyper::Error) -> Problem {
    if error.is_parse() {
        return Reason::Protocol.into();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Reason::ConnectionLost.into();
    }
    Problem::of(&error)
}

impl HealthCheck for HttpGet {
    fn check(&self, _time_out: Duration) -> Checking<'_> {
        Box::pin(self.ask())
    }
}

impl fmt::Debug for HttpGet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token may be part of the page's path.
        formatter
            .debug_struct("HttpGet")
            .field("target", &self.target)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_or_of_another_scheme_is_refused_and_not_repeated() {
        for url in ["", "/healthz", "ftp://host/", "http://app:hunter2@host/", "http://"] {
            let error = HttpGet::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert_eq!(HttpGet::new("https://host/").is_ok(), cfg!(feature = "health-tls"));
    }

    #[test]
    fn debug_shows_whom_it_asks_and_not_for_what() {
        let shown = format!("{:?}", HttpGet::new("http://rates.internal/healthz?token=hunter2").unwrap());
        assert!(shown.contains("rates.internal") && shown.contains("80") && !shown.contains("hunter2"), "{shown}");
    }
}
