//! The method of an HTTP request, as a label.

use crate::LabelValue;

/// The method of an HTTP request; label `http_request_method`. Any token can be one, so what is not of HTTP's own nine is
/// `_OTHER`, as the semantic conventions have it. For the authors of instruments.
///
/// ```
/// use monitoring_core::RequestMethod;
///
/// assert_eq!(RequestMethod::of("PATCH"), RequestMethod::Patch);
/// assert_eq!(RequestMethod::of("BREW").as_str(), "_OTHER");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[non_exhaustive]
pub enum RequestMethod {
    /// `CONNECT`.
    #[label("CONNECT")]
    Connect,
    /// `DELETE`.
    #[label("DELETE")]
    Delete,
    /// `GET`.
    #[label("GET")]
    Get,
    /// `HEAD`.
    #[label("HEAD")]
    Head,
    /// `OPTIONS`.
    #[label("OPTIONS")]
    Options,
    /// `PATCH`.
    #[label("PATCH")]
    Patch,
    /// `POST`.
    #[label("POST")]
    Post,
    /// `PUT`.
    #[label("PUT")]
    Put,
    /// `TRACE`.
    #[label("TRACE")]
    Trace,
    /// Any other one.
    #[label("_OTHER")]
    Other,
}

impl RequestMethod {
    /// The method of that name. Upper and lower case are not the same.
    #[inline]
    pub fn of(name: &str) -> Self {
        match name {
            "CONNECT" => Self::Connect,
            "DELETE" => Self::Delete,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// As labels name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
            Self::Other => "_OTHER",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_outside_the_known_ones_is_folded() {
        for name in ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"] {
            assert_eq!(RequestMethod::of(name).as_str(), name);
        }
        for odd in ["BREW", "get", "PROPFIND", "A!#$%&'*+-.^_`|~9", ""] {
            assert_eq!(RequestMethod::of(odd), RequestMethod::Other, "{odd}");
        }
    }
}
