//! Addresses that no extension may reach, whichever name resolves to them.
//!
//! It judges one address; who resolves names is `transport`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds hand out a machine's own credentials.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// What `what` calls this machine.
pub const LOOPBACK: &str = "this machine";
/// What `what` calls an address that is only known on one wire.
pub const LINK_LOCAL: &str = "a link-local address";

/// What an address is that may not be dialled; `None` when it may. This machine may.
pub(crate) fn denied(address: IpAddr) -> Option<&'static str> {
    what(address).filter(|what| *what != LOOPBACK)
}

/// What an address is that not every name may lead to.
pub fn what(address: IpAddr) -> Option<&'static str> {
    let address = embedded(address).map_or_else(|| address.to_canonical(), IpAddr::V4);
    if METADATA.contains(&address) {
        return Some("a cloud's metadata service");
    }
    match address {
        _ if address.is_loopback() => Some(LOOPBACK),
        IpAddr::V4(four) if four.is_link_local() => Some(LINK_LOCAL),
        IpAddr::V4(four) if four.octets()[0] == 0 => Some("an unusable address"),
        IpAddr::V4(four) if four.is_broadcast() => Some("a broadcast address"),
        IpAddr::V6(six) if six.is_unicast_link_local() => Some(LINK_LOCAL),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_unspecified() => Some("an unusable address"),
        _ => None,
    }
}

/// The IPv4 address behind the well-known NAT64 prefix and 6to4: gateways lead there.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(six) = address else { return None };
    let four = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match six.segments() {
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => Some(four(high, low)),
        // IPv4-compatible addresses, which nobody should use; `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(four(high, low)),
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_unroutable_addresses_are_denied_in_every_notation() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "169.254.1.1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "0.0.0.0",
            "0.0.0.7",
            "::",
            "::169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
        ] {
            assert!(denied(text.parse().unwrap()).is_some(), "{text}");
        }
        for text in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "fd00::1",
            "2001:db8::1",
            "100.64.0.1",
        ] {
            assert_eq!(denied(text.parse().unwrap()), None, "{text}");
        }
    }
}
