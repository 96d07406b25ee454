//! Hosts that are dialled without the proxy: `NO_PROXY` and the settings' `except`, as curl and Chromium read them.

use std::net::IpAddr;

use super::error::Place;

/// Hosts that are dialled directly.
#[derive(Debug, Default)]
pub(super) struct NoProxy(Vec<NoProxyEntry>);

#[derive(Debug)]
struct NoProxyEntry {
    /// `http` or `https`; any if there is none.
    scheme: Option<String>,
    host: Host,
    port: Option<u16>,
}

#[derive(Debug)]
enum Host {
    /// Every host.
    All,
    Address(IpAddr),
    /// A network: its address and the length of its prefix.
    Network(IpAddr, u8),
    /// A name, and the names below it.
    Domain(String),
    /// A name with `*` for any letters.
    Wildcard(String),
}

impl NoProxy {
    /// Reads a list with commas or blanks between its entries. What cannot be understood names a host that is not there.
    pub(super) fn read(list: &str) -> Self {
        let entries = list.split([',', ';', ' ', '\t', '\n', '\r']);
        Self(
            entries
                .filter(|text| !text.is_empty())
                .map(NoProxyEntry::read)
                .collect(),
        )
    }

    /// Whether this host is dialled directly.
    pub(super) fn covers(&self, place: &Place, secure: bool) -> bool {
        let host = place.bare_host().trim_end_matches('.').to_ascii_lowercase();
        let scheme = if secure { "https" } else { "http" };
        self.0.iter().any(|entry| {
            entry.scheme.as_deref().is_none_or(|wanted| wanted == scheme)
                && entry.port.is_none_or(|port| port == place.port)
                && entry.host.covers(&host)
        })
    }
}

impl NoProxyEntry {
    fn read(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = match text.split_once("://") {
            Some(("ws", rest)) => (Some("http".to_owned()), rest),
            Some(("wss", rest)) => (Some("https".to_owned()), rest),
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
            None => (None, text.as_str()),
        };
        let (host, port) = with_port(rest);
        Self {
            scheme,
            host: Host::read(host),
            port,
        }
    }
}

/// A host and the port behind it. An IPv6 address has colons of its own.
fn with_port(text: &str) -> (&str, Option<u16>) {
    if let Some(bracketed) = text.strip_prefix('[')
        && let Some((host, rest)) = bracketed.split_once(']')
    {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

impl Host {
    fn read(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Self::Address(address.to_canonical());
        }
        if let Some((network, length)) = text.split_once('/')
            && let (Ok(network), Ok(length)) = (
                network.trim_matches(['[', ']']).parse::<IpAddr>(),
                length.parse::<u8>(),
            )
        {
            return Self::Network(network, length);
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let name = name.trim_start_matches('.').trim_end_matches('.');
        if name.contains('*') {
            Self::Wildcard(text.trim_end_matches('.').to_owned())
        } else {
            Self::Domain(name.to_owned())
        }
    }

    fn covers(&self, host: &str) -> bool {
        let address = || host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        match self {
            Self::All => true,
            Self::Address(wanted) => address() == Some(*wanted),
            Self::Network(network, length) => {
                address().is_some_and(|found| is_within(found, *network, *length))
            }
            Self::Domain(name) => {
                // Of a longer name, a dot must stand before it. Addresses have nothing below them.
                host == name
                    || (address().is_none()
                        && !name.is_empty()
                        && host
                            .strip_suffix(name.as_str())
                            .is_some_and(|rest| rest.ends_with('.')))
            }
            Self::Wildcard(pattern) => fits(pattern, host),
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    };
    let ((address, width), (network, other)) = (bits(address), bits(network));
    let differ = address ^ network;
    width == other && length <= width && (length == 0 || differ >> (128 - u32::from(length)) == 0)
}

/// Whether a text fits a pattern in which `*` stands for any letters.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, host: &str, port: u16) -> bool {
        let host = host.to_owned();
        NoProxy::read(list).covers(&Place { host, port }, true)
    }

    #[test]
    fn no_proxy_entries_match_as_in_curl_and_chromium() {
        for (list, host, port) in [
            ("*", "x.test", 443),
            (".corp.test", "a.corp.test", 443),
            (".corp.test", "corp.test", 443),
            ("*.corp.test", "a.b.corp.test", 443),
            ("corp.test", "a.corp.test", 443),
            ("CORP.test.", "corp.TEST", 443),
            ("corp.test", "corp.test.", 443),
            ("other, a.corp.test:8080", "a.corp.test", 8080),
            ("one two\tcorp.test", "corp.test", 443),
            (" , corp.test ,", "corp.test", 443),
            ("10.0.0.0/8", "10.255.255.1", 443),
            ("10.*", "10.255.255.1", 443),
            ("10.255.255.1:80", "10.255.255.1", 80),
            ("[fd00::1]", "[fd00::1]", 443),
            ("fd00:0::1", "[fd00::1]", 443),
            ("[fd00::1]:8443", "[fd00::1]", 8443),
            ("fd00::/8", "[fd12::1]", 443),
            ("0.0.0.0/0", "1.2.3.4", 443),
            ("10.1.2.3", "[::ffff:10.1.2.3]", 443),
            ("intra*.test", "intranet.test", 443),
            ("https://corp.test", "corp.test", 443),
        ] {
            assert!(covers(list, host, port), "{list}: {host}:{port}");
        }
        for (list, host, port) in [
            ("", "corp.test", 443),
            ("corp.test", "notcorp.test", 443),
            ("a.corp.test:8080", "a.corp.test", 9090),
            ("10.0.0.0/8", "11.0.0.1", 443),
            ("10.0.0.0/8", "10.example", 443),
            ("0.0.1", "10.0.0.1", 443),
            ("10.*", "110.0.0.1", 443),
            ("[fd00::1]", "[fd00::2]", 443),
            ("fd00::/8", "[fe00::1]", 443),
            ("http://corp.test", "corp.test", 443),
            (".", "corp.test", 443),
        ] {
            assert!(!covers(list, host, port), "{list}: {host}:{port}");
        }
    }
}
