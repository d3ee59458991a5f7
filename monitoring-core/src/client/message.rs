//! What requests and responses of different clients have in common.

use http::uri::Scheme;
use http::{HeaderMap, Method, StatusCode};

/// A request of a client: of `http::Request`, and with the feature `reqwest` of `reqwest::Request`. Sealed: there is
/// nothing to implement.
pub trait ClientRequest: sealed::Sealed {
    /// The method.
    fn method(&self) -> &Method;
    /// The host of the URL; `None` where there is none, as in a request that names only a path.
    fn host(&self) -> Option<&str>;
    /// The port of the URL, or that of its scheme.
    fn port(&self) -> Option<u16>;
    /// The headers, to write the trace into them.
    fn headers_mut(&mut self) -> &mut HeaderMap;
}

/// A response to a client. Sealed: there is nothing to implement.
pub trait ClientResponse: sealed::Sealed {
    /// The status.
    fn status(&self) -> StatusCode;
}

impl<B> ClientRequest for http::Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn host(&self) -> Option<&str> {
        self.uri().host()
    }

    fn port(&self) -> Option<u16> {
        let uri = self.uri();
        uri.port_u16().or_else(|| match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
            Some(scheme) if *scheme == Scheme::HTTP => Some(80),
            _ => None,
        })
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl<B> ClientResponse for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

#[cfg(feature = "reqwest")]
impl ClientRequest for reqwest::Request {
    fn method(&self) -> &Method {
        self.method()
    }

    fn host(&self) -> Option<&str> {
        self.url().host_str()
    }

    fn port(&self) -> Option<u16> {
        self.url().port_or_known_default()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

#[cfg(feature = "reqwest")]
impl ClientResponse for reqwest::Response {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

mod sealed {
    pub trait Sealed {}

    impl<B> Sealed for http::Request<B> {}
    impl<B> Sealed for http::Response<B> {}
    #[cfg(feature = "reqwest")]
    impl Sealed for reqwest::Request {}
    #[cfg(feature = "reqwest")]
    impl Sealed for reqwest::Response {}
}
