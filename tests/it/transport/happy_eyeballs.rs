//! A name with addresses of both families, one of which swallows whatever is sent there: in a network namespace with
//! sockets of IPv6 and IPv4, a resolver's file of its own, and a real server.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use super::namespace::{Namespace, Server};
use crate::skip::skip;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, program};

/// Packets to the addresses that end in 9 go into a tunnel that is not read, and the sender gets no error.
const HOSTS: &str = "127.0.0.1 localhost
fd18::1 live.test
198.18.0.1 live.test
fd18::9 six-dead.test
198.18.0.1 six-dead.test
fd18::1 four-dead.test
198.18.0.9 four-dead.test
";

const SET_UP: &str = r#"
set -e
ip link set lo up
ip addr add 198.18.0.1/32 dev lo
ip -6 addr add fd18::1/128 dev lo nodad
ip tuntap add dev wire mode tun
ip link set wire up
ip route add 198.18.0.9/32 dev wire
ip -6 route add fd18::9/128 dev wire
mount --bind "$1/hosts" /etc/hosts
echo > "$1/ready"
exec sleep 600
"#;

#[test]
fn an_unreachable_address_family_delays_but_does_not_fail_a_dial() {
    let scratch = Scratch::short();
    fs::write(scratch.folder().join("hosts"), HOSTS).unwrap();
    let Some(net) = Namespace::new("-rnm", SET_UP, scratch.folder()) else {
        skip("this machine allows no network namespaces");
        return;
    };
    let Some(server) = Server::start(net.enter(), "::") else {
        skip("npm `ws` does not run in a namespace here");
        return;
    };
    scratch.settings("[default]\nallow = [\"ws://*\"]\n");
    let mut command = net.enter();
    scratch.apply_environment(&mut command);
    command.arg(program()).arg(ORIGIN);
    let mut host = HostProcess::spawn(command);
    host.hello();
    for name in ["live", "six-dead", "four-dead"] {
        let begun = Instant::now();
        let url = format!("ws://{name}.test:{}/echo", server.port);
        host.send(&json!({"type": "open", "id": name, "session": name, "url": url}));
        let is_over = |frame: &Value| {
            frame["type"] == "state" && frame["session"] == name && frame["state"] != "connecting"
        };
        let state = host.find(name, is_over);
        println!("| {name} | {:.2} s |", begun.elapsed().as_secs_f64());
        assert_eq!(
            (&state["state"], &state["dial"]),
            (&json!("open"), &json!(1)),
            "{state}"
        );
    }
}
