//! Which service a host is of.

/// A service that is called, and the hosts that it has. Its name is the label `dependency`.
///
/// ```
/// use monitoring_core::client::Dependency;
///
/// let auth0 = Dependency::new("auth0").host("*.auth0.com").host("login.acme.example");
/// let ledger = Dependency::new("ledger").host("ledger.internal:8080").trusted();
/// # let _ = (auth0, ledger);
/// ```
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    hosts: Vec<Host>,
    is_trusted: bool,
}

/// A pattern of hosts.
#[derive(Clone, Debug)]
struct Host {
    /// As it was given: the label `server_address`.
    pattern: Box<str>,
    /// With `.` before it where it stands for all hosts below.
    name: Box<str>,
    /// `None` for any.
    port: Option<u16>,
}

impl Dependency {
    /// A service without hosts yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, hosts: Vec::new(), is_trusted: false }
    }

    /// Adds a host: `rates.example`, one port of it (`rates.example:8443`), or all hosts below a name
    /// (`*.rates.example`, which `rates.example` itself is not). Upper and lower case are the same. The pattern is the
    /// label `server_address`, at most 256 bytes of it. What is none, such as a whole URL or a port that is no number, fits
    /// no host.
    #[must_use]
    pub fn host(mut self, pattern: impl Into<Box<str>>) -> Self {
        let pattern = pattern.into();
        let with_port = pattern.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        // Where no port is after the last colon, that is in the brackets of an IPv6 address, or such a host does not exist.
        let (name, port) = with_port.map_or((&*pattern, None), |(name, port)| (name, Some(port)));
        let name =
            name.strip_prefix('*').filter(|below| below.starts_with('.') && below.len() > 1).unwrap_or(name).into();
        self.hosts.push(Host { pattern, name, port });
        self
    }

    /// Calls to it carry the current [trace](crate::propagation::TraceContext). For services of your own: to others it
    /// would tell which of your requests belong together.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.is_trusted = true;
        self
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// The pattern that the host fits.
    fn pattern_of(&self, host: &str, port: Option<u16>) -> Option<&str> {
        let fitting = self.hosts.iter().find(|pattern| pattern.fits(host, port));
        fitting.map(|host| &*host.pattern)
    }
}

impl Host {
    fn fits(&self, host: &str, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        if !self.name.starts_with('.') {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let below = host.len().checked_sub(self.name.len()).filter(|length| *length > 0);
        below.and_then(|length| host.get(length..)).is_some_and(|end| end.eq_ignore_ascii_case(&self.name))
    }
}

/// The dependency that a host is of, and its pattern that fits: the first one.
pub(super) fn find<'a>(
    dependencies: &'a [Dependency],
    host: Option<&str>,
    port: Option<u16>,
) -> Option<(&'a Dependency, &'a str)> {
    let host = host?;
    dependencies.iter().find_map(|dependency| Some((dependency, dependency.pattern_of(host, port)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(host: &str, port: u16) -> Option<String> {
        let dependencies = [
            Dependency::new("exact").host("rates.example").host("[::1]").host("[::1]:8080"),
            Dependency::new("port").host("ledger.internal:8080"),
            Dependency::new("below").host("*.auth0.com"),
        ];
        find(&dependencies, Some(host), Some(port))
            .map(|(dependency, pattern)| format!("{} {pattern}", dependency.name()))
    }

    #[test]
    fn a_host_is_found_by_its_pattern() {
        let cases = [
            ("rates.example", 80, "exact rates.example"),
            ("RATES.Example", 443, "exact rates.example"),
            ("ledger.internal", 8080, "port ledger.internal:8080"),
            ("acme.eu.auth0.com", 443, "below *.auth0.com"),
            ("[::1]", 8080, "exact [::1]"),
        ];
        for (host, port, expected) in cases {
            assert_eq!(pattern(host, port).as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn a_pattern_with_a_slip_fits_nothing_rather_than_too_much() {
        for slip in
            ["x.example:80800", "x.example:", "x.example:https", "https://x.example", "x.example/", "x.example:-1", ""]
        {
            let dependencies = [Dependency::new("slip").host(slip)];
            for port in [None, Some(80), Some(443)] {
                assert_eq!(find(&dependencies, Some("x.example"), port).map(|(_, pattern)| pattern), None, "{slip}");
            }
        }
    }

    #[test]
    fn a_host_that_only_looks_alike_is_another_one() {
        for (host, port) in [
            ("ledger.internal", 80),
            ("auth0.com", 443),
            (".auth0.com", 443),
            ("evilauth0.com", 443),
            ("acme.auth0.com.evil.example", 443),
            ("rates.example.", 443),
            ("xrates.example", 443),
            ("rates.example.com", 443),
            ("größe.auth0.co", 443),
            ("", 443),
        ] {
            assert_eq!(pattern(host, port), None, "{host}");
        }
    }
}
