//! The forms in which an address is written.

use std::fmt;

use crate::{Error, Result};

/// How the name in an address is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// `dns+host:port`: IPv4 addresses, or IPv6 ones if there are none.
    Dns,
    /// `dnssrv+name`: SRV records, then the addresses of their targets.
    DnsSrv,
    /// `dnssrvnoa+name`: SRV records, whose targets are passed on as names.
    DnsSrvNoA,
    /// `dnsdualstack+host:port`: IPv4 and IPv6 addresses; either lookup may fail.
    DnsDualStack,
}

/// An address as it is configured: `host:port`, or a lookup and a name, with an optional scheme
/// (`dns+http://host:80`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    text: String,
    lookup: Option<Lookup>,
}

impl Lookup {
    const ALL: [Self; 4] = [Self::Dns, Self::DnsSrv, Self::DnsSrvNoA, Self::DnsDualStack];

    /// The word before the `+`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::DnsSrv => "dnssrv",
            Self::DnsSrvNoA => "dnssrvnoa",
            Self::DnsDualStack => "dnsdualstack",
        }
    }

    /// Whether the port comes from the answer if the address names none.
    pub(crate) fn finds_port(self) -> bool {
        matches!(self, Self::DnsSrv | Self::DnsSrvNoA)
    }
}

impl Address {
    /// Understands an address.
    ///
    /// # Errors
    /// `Invalid`: an unknown lookup, no host, or no port where the lookup finds none.
    pub fn parse(text: &str) -> Result<Self> {
        let lookup = match text.split_once('+') {
            None => None,
            Some((word, _)) => {
                let known = Lookup::ALL
                    .into_iter()
                    .find(|lookup| lookup.as_str() == word);
                Some(known.ok_or_else(|| {
                    Error::invalid(format!(
                        "address {text:?} asks for the lookup {word:?}: use dns, dnssrv, dnssrvnoa or \
                         dnsdualstack"
                    ))
                })?)
            }
        };
        let address = Self {
            text: text.to_owned(),
            lookup,
        };
        let (_, host, port) = address.parts();
        if host.is_empty() {
            return Err(Error::invalid(format!("address {text:?} has no host")));
        }
        if port.is_none() && !lookup.is_some_and(Lookup::finds_port) {
            return Err(Error::invalid(format!(
                "address {text:?} has no port: write host:port"
            )));
        }
        Ok(address)
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How its name is looked up; `None` for one that is used as it is.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        self.lookup
    }

    /// Scheme with `//` behind it or nothing, host without brackets, and port.
    pub(crate) fn parts(&self) -> (&str, &str, Option<&str>) {
        let name = match self.lookup {
            Some(_) => self.text.split_once('+').map_or("", |(_, name)| name),
            None => &self.text,
        };
        let (scheme, rest) = match name.find("//").and_then(|at| name.split_at_checked(at + 2)) {
            Some(parts) => parts,
            None => ("", name),
        };
        let (host, port) = split_port(rest);
        (scheme, host, port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits `host:port`, `[host]:port` and a path behind it, which goes with the port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').filter(|port| !port.is_empty()));
    }
    match text.split_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((host, port)) if !port.is_empty() && !port.contains(':') => (host, Some(port)),
        Some((host, "")) => (host, None),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_an_address() {
        let check = |text: &str, lookup, parts| {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.lookup(), lookup, "{text}");
            assert_eq!(address.parts(), parts, "{text}");
            assert_eq!(address.to_string(), text);
        };
        check("store:10901", None, ("", "store", Some("10901")));
        check("[::1]:10901", None, ("", "::1", Some("10901")));
        check("dns+store:1", Some(Lookup::Dns), ("", "store", Some("1")));
        check(
            "dns+http://store:80/path",
            Some(Lookup::Dns),
            ("http://", "store", Some("80/path")),
        );
        check(
            "dnssrv+_grpc._tcp.store",
            Some(Lookup::DnsSrv),
            ("", "_grpc._tcp.store", None),
        );
        check(
            "dnssrvnoa+_grpc._tcp.store:7",
            Some(Lookup::DnsSrvNoA),
            ("", "_grpc._tcp.store", Some("7")),
        );
        check(
            "dnsdualstack+store:1",
            Some(Lookup::DnsDualStack),
            ("", "store", Some("1")),
        );
    }

    #[test]
    fn refusals_say_what_to_write() {
        let check = |text: &str, expected: &str| {
            let error = Address::parse(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check("store", "has no port: write host:port");
        check("dns+store", "has no port");
        check("dns+store:", "has no port");
        check("::1", "has no port");
        check("", "has no host");
        check("dns+:80", "has no host");
        check("srv+store:1", "use dns, dnssrv, dnssrvnoa or dnsdualstack");
    }
}
