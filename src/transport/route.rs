//! The local address of the default route: when it changes, the network has changed.
//!
//! It sends nothing and listens to nothing; a connected UDP socket only asks the routing table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The machine's own addresses towards the internet, if it has any way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Route {
    four: Option<IpAddr>,
    six: Option<IpAddr>,
}

impl Route {
    /// The routes as they are now.
    pub fn now() -> Self {
        // Addresses reserved for documentation: nothing is sent.
        Self {
            four: towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
            six: towards(
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            ),
        }
    }

    /// Whether there is another way than before. That one has gone is no reason to try anything.
    pub fn is_new_since(&self, before: &Self) -> bool {
        let new = |now: Option<IpAddr>, before| now.is_some() && now != before;
        new(self.four, before.four) || new(self.six, before.six)
    }
}

fn towards(from: IpAddr, to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_route_is_new_and_a_lost_one_is_not() {
        let way = |last| Route {
            four: Some(Ipv4Addr::new(192, 168, 1, last).into()),
            six: None,
        };
        assert!(way(1).is_new_since(&Route::default()));
        assert!(way(2).is_new_since(&way(1)));
        assert!(!way(1).is_new_since(&way(1)));
        assert!(!Route::default().is_new_since(&way(1)));
        assert_eq!(Route::now(), Route::now());
    }
}
