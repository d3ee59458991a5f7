//! What a resolver may look at.

use std::fmt;

use axum::extract::MatchedPath;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request, borrowed: everything but its body.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The URI, as the layer sees it: inside a nested router without the prefix it is nested at.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The headers, as the client sent them: nothing in them is verified.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What layers outside ours have attached.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The template of the matched route, such as `/users/{id}`, if an axum router has matched one already.
    pub fn matched_path(&self) -> Option<&'a str> {
        self.extensions.get::<MatchedPath>().map(MatchedPath::as_str)
    }
}

impl fmt::Debug for RequestHead<'_> {
    /// Shows the method and the template only: headers, path and extensions hold secrets and personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RequestHead")
            .field("method", self.method)
            .field("matched_path", &self.matched_path())
            .finish_non_exhaustive()
    }
}
