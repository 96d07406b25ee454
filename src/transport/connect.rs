//! From a host name to a TCP connection: name resolution, then Happy Eyeballs (RFC 8305).
//!
//! It knows no TLS, no proxy and no HTTP; the deadline is the caller's.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;

use super::error::{DialError, Place};
use crate::core::address;
use crate::core::rules::HostPattern;

/// How long an address has before the next one is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses tried at most.
const MAX_ADDRESSES: usize = 16;

/// Resolves a place.
pub(crate) async fn resolve(place: &Place, names: Names<'_>) -> Result<Vec<SocketAddr>, DialError> {
    let host = place.bare_host();
    if let Ok(address) = host.parse::<IpAddr>() {
        return allowed(place, vec![SocketAddr::new(address, place.port)], names);
    }
    if is_local_name(host) {
        // As RFC 6761 and browsers have it: no resolver is asked, and a server may listen on either.
        let both = [IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()];
        return Ok(both.map(|address| SocketAddr::new(address, place.port)).into());
    }
    let fail = |source| DialError::Dns {
        host: host.to_owned(),
        source,
    };
    let found: Vec<_> = tokio::net::lookup_host((host, place.port))
        .await
        .map_err(fail)?
        .collect();
    if found.is_empty() {
        return Err(fail(io::Error::other("the name has no address")));
    }
    allowed(place, alternate(found), names)
}

/// Which names, beside `localhost`, may lead to this machine or a link-local address.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names<'a> {
    Any,
    Listed(&'a [HostPattern]),
}

impl Names<'_> {
    fn fits(self, name: &str) -> bool {
        match self {
            Names::Any => true,
            Names::Listed(list) => list.iter().any(|pattern| pattern.fits(name)),
        }
    }
}

/// What may be dialled of these, judged behind DNS: the addresses given back are those that are connected. Nobody's name
/// leads to a cloud's metadata service, other names than `localhost` not to this machine, and `localhost` nowhere else.
pub(crate) fn allowed(
    place: &Place,
    found: Vec<SocketAddr>,
    names: Names<'_>,
) -> Result<Vec<SocketAddr>, DialError> {
    let host = place.bare_host();
    let local = is_local_name(host);
    let is_literal = host.parse::<IpAddr>().is_ok();
    let is_listed = !is_literal && names.fits(host);
    let mut why = "no address";
    let mut refuse = |what| {
        why = what;
        false
    };
    let check_policy = |address: &SocketAddr| match address::what(address.ip()) {
        Some(address::LOOPBACK) if is_literal || local || is_listed => true,
        Some(address::LINK_LOCAL) if is_listed && !local => true,
        Some(what) => refuse(what),
        None if local => refuse("another machine"),
        None => true,
    };
    let allowed: Vec<_> = found.into_iter().filter(check_policy).collect();
    if allowed.is_empty() {
        let place = place.clone();
        return Err(DialError::Denied { place, what: why });
    }
    Ok(allowed)
}

/// A name that means this machine (RFC 6761).
pub(crate) fn is_local_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Families in turn, IPv6 first; the system's order within each.
fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let mut ordered = Vec::with_capacity(six.len() + four.len());
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            ordered.truncate(MAX_ADDRESSES);
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// Connects to whichever address answers first.
pub(crate) async fn connect(place: &Place, addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut waiting = VecDeque::from(addresses);
    let mut running = FuturesUnordered::new();
    let mut worst: Option<io::Error> = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            running.push(TcpStream::connect(address));
        }
        let attempt = if waiting.is_empty() {
            running.next().await
        } else {
            tokio::select! {
                attempt = running.next() => attempt,
                () = tokio::time::sleep(ATTEMPT_DELAY) => continue,
            }
        };
        match attempt {
            Some(Ok(stream)) => {
                // Batches are made above; waiting for more below only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some(Err(error)) => {
                // "Refused" says more than "no route", which is all a missing IPv6 ever says.
                if worst
                    .as_ref()
                    .is_none_or(|worst| worst.kind() != io::ErrorKind::ConnectionRefused)
                {
                    worst = Some(error);
                }
            }
            None => {
                return Err(DialError::Connect {
                    place: place.clone(),
                    source: worst.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        Place {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn address_families_alternate() {
        let four = |n| SocketAddr::from(([127, 0, 0, n], 1));
        let six = |n| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, n], 1));
        assert_eq!(
            alternate(vec![four(1), four(2), six(1), four(3)]),
            [six(1), four(1), four(2), four(3)]
        );
    }

    const NONE: Names<'_> = Names::Listed(&[]);

    fn at(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 443)
    }

    #[test]
    fn names_that_resolve_to_denied_addresses_are_refused() {
        let metadata = at("169.254.169.254");
        let good = at("192.0.2.1");
        let error = allowed(&place("rebound.example", 443), vec![metadata], Names::Any).unwrap_err();
        assert_eq!(error.code(), crate::wire::code::Code::UrlDenied);
        assert!(error.to_string().contains("metadata"), "{error}");
        assert_eq!(
            allowed(&place("mixed.example", 443), vec![metadata, good], NONE).unwrap(),
            [good]
        );
        assert!(allowed(&place("localhost", 80), vec![good], NONE).is_err());
        assert!(allowed(&place("a.localhost.", 80), vec![good], NONE).is_err());
        let here = at("::ffff:127.0.0.1");
        assert_eq!(
            allowed(&place("localhost", 80), vec![good, here], NONE).unwrap(),
            [here]
        );
    }

    #[test]
    fn only_listed_names_may_resolve_to_loopback() {
        let listed = [
            HostPattern::parse("myapp.test").unwrap(),
            HostPattern::parse("*.dev.example").unwrap(),
        ];
        let listed = Names::Listed(&listed);
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "169.254.3.4",
        ] {
            for name in [
                "rebound.example",
                "myapp.test.evil",
                "xdev.example",
                "localhost.example",
            ] {
                let error = allowed(&place(name, 443), vec![at(address)], listed).unwrap_err();
                assert!(
                    error.to_string().contains("`local-names`"),
                    "{name} {address}: {error}"
                );
            }
            for name in ["myapp.test", "MyApp.test.", "a.dev.example", "dev.example"] {
                assert!(
                    allowed(&place(name, 443), vec![at(address)], listed).is_ok(),
                    "{name} {address}"
                );
            }
        }
        for address in [
            "169.254.169.254",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "0.1.2.3",
            "224.0.0.1",
        ] {
            assert!(
                allowed(&place("myapp.test", 443), vec![at(address)], listed).is_err(),
                "{address}"
            );
        }
        assert!(allowed(&place("127.0.0.1", 80), vec![at("127.0.0.1")], NONE).is_ok());
        assert!(allowed(&place("169.254.3.4", 80), vec![at("169.254.3.4")], Names::Any).is_err());
    }

    #[tokio::test]
    async fn every_resolved_address_is_checked() {
        let error = resolve(&place("169.254.169.254", 80), NONE).await.unwrap_err();
        assert!(matches!(error, DialError::Denied { .. }), "{error}");
        for address in resolve(&place("localhost", 80), NONE).await.unwrap() {
            assert!(address.ip().is_loopback(), "{address}");
        }
    }

    #[tokio::test]
    async fn a_refused_address_is_skipped_for_a_reachable_one() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let stream = connect(&place("x", 1), vec![gone, server.local_addr().unwrap()])
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), server.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn localhost_names_resolve_to_both_families_without_dns() {
        for host in ["localhost", "localhost.", "LOCALHOST", "any.thing.localhost"] {
            let found = resolve(&place(host, 7), Names::Any).await.unwrap();
            assert_eq!(
                found,
                ["[::1]:7".parse().unwrap(), "127.0.0.1:7".parse().unwrap()],
                "{host}"
            );
        }
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = tokio::net::TcpListener::bind(bind).await else {
                continue;
            };
            let at = place("a.localhost", server.local_addr().unwrap().port());
            let stream = connect(&at, resolve(&at, Names::Any).await.unwrap())
                .await
                .unwrap();
            assert_eq!(stream.peer_addr().unwrap(), server.local_addr().unwrap());
        }
    }

    /// The next address is tried beside one from which nothing comes, and not after it.
    #[tokio::test]
    async fn a_silent_address_does_not_delay_a_reachable_one() {
        let dead = tokio::net::TcpSocket::new_v4().unwrap();
        dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = dead.listen(1).unwrap();
        let silent = dead.local_addr().unwrap();
        // Its queue is full: new connections get no answer.
        let try_once = || std::net::TcpStream::connect_timeout(&silent, Duration::from_millis(300));
        let mut queue = Vec::new();
        while let Ok(stream) = try_once() {
            queue.push(stream);
            assert!(queue.len() < 64, "this system accepts every connection");
        }
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = server.local_addr().unwrap();
        let stream = connect(&place("x", 1), vec![silent, live]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
    }

    #[tokio::test]
    async fn an_unknown_name_is_a_dns_error() {
        let error = resolve(&place("no-such-host.invalid", 1), NONE)
            .await
            .unwrap_err();
        assert!(matches!(error, DialError::Dns { .. }), "{error}");
    }
}
