//! A real half-open link: two network namespaces, and a route that drops whatever the server sends.
//!
//! The home's path is short: a broker behind a long one would need a folder in /tmp that belongs to the namespace's root.
//! `network_faults` tries the same with a relay that stops, everywhere.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use super::namespace::{Namespace, Server, enter};
use crate::skip::skip;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, program};

/// The server's address, in a network kept for measurements.
const SERVER: &str = "198.18.0.2";

/// Two namespaces: in the inner one the server, in the outer one the processes run by `enter`. Removed when dropped.
struct Net {
    outer: Namespace,
    inner: u32,
}

const SET_UP: &str = r#"
set -e
ip link set lo up
unshare -n sh -c 'echo $$ > "$1/inner"; ip link set lo up; while [ ! -e "$1/linked" ]; do sleep 0.02; done
  ip addr add 198.18.0.2/30 dev inner; ip link set inner up; echo > "$1/ready"; exec sleep 600' sh "$1" &
while [ ! -s "$1/inner" ]; do sleep 0.02; done
ip link add outer type veth peer name inner
ip link set inner netns "$(cat "$1/inner")"
ip addr add 198.18.0.1/30 dev outer
ip link set outer up
echo > "$1/linked"
exec sleep 600
"#;

impl Net {
    /// `None` where the machine does not allow it.
    fn new(folder: &std::path::Path) -> Option<Self> {
        let outer = Namespace::new("-rnm", SET_UP, folder)?;
        let inner = fs::read_to_string(folder.join("inner"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        Some(Self { outer, inner })
    }

    fn server_side(&self, arguments: &[&str]) {
        let done = enter(self.inner).args(arguments).status().unwrap();
        assert!(done.success(), "{arguments:?}");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let inner = i32::try_from(self.inner)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(inner) = inner {
            let _ = rustix::process::kill_process(inner, rustix::process::Signal::KILL);
        }
    }
}

/// Lets extensions dial the server in the clear.
fn allow(scratch: &Scratch) {
    scratch.settings(&format!("[default]\nallow = [\"ws://{SERVER}\"]\n"));
}

/// A host in the outer namespace.
fn host(net: &Net, scratch: &Scratch) -> HostProcess {
    let mut command = net.outer.enter();
    scratch.apply_environment(&mut command);
    command.arg(program()).arg(ORIGIN);
    HostProcess::spawn(command)
}

fn is_state(frame: &Value, state: &str) -> bool {
    frame["type"] == "state" && frame["state"] == state
}

#[test]
fn a_network_change_ends_the_wait() {
    let scratch = Scratch::short();
    let Some(net) = Net::new(scratch.folder()) else {
        skip("this machine allows no network namespaces");
        return;
    };
    allow(&scratch);
    let mut host = host(&net, &scratch);
    host.hello();
    host.send(
        &json!({"type": "open", "id": "o", "session": "s", "url": format!("ws://{SERVER}:9/"), "options": {
            "reconnect": {"minDelay": 86_400_000, "maxDelay": 86_400_000},
        }}),
    );
    let waiting = host.find("waiting", |frame| is_state(frame, "waiting"));
    assert_eq!(waiting["error"]["code"], "refused", "{waiting}");
    let route = ["ip", "route", "add", "default", "via", SERVER];
    assert!(net.outer.enter().args(route).status().unwrap().success());
    let begun = Instant::now();
    host.find("a second dial", |frame| {
        is_state(frame, "connecting") && frame["dial"] == 2
    });
    println!("| another network | | {:.1} s |", begun.elapsed().as_secs_f64());
}

#[test]
fn a_link_whose_packets_are_dropped_is_detected() {
    let scratch = Scratch::short();
    let Some(net) = Net::new(scratch.folder()) else {
        skip("this machine allows no network namespaces");
        return;
    };
    let Some(server) = Server::start(enter(net.inner), SERVER) else {
        skip("npm `ws` does not run in a namespace here");
        return;
    };
    allow(&scratch);
    let mut host = host(&net, &scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": format!("ws://{SERVER}:{}/echo", server.port), "options": {
        "heartbeat": {"interval": 1000, "timeout": 500}, "connectTimeout": 1000,
    }}));
    host.find("open", |frame| is_state(frame, "open"));

    net.server_side(&["ip", "route", "add", "blackhole", "198.18.0.1/32"]);
    let begun = Instant::now();
    host.send(&json!({"type": "send", "session": "s", "id": "m", "text": "anybody there?", "receipt": true}));
    let lost = host.find("waiting", |frame| is_state(frame, "waiting"));
    let noticed = begun.elapsed();
    assert_eq!(lost["error"]["code"], "heartbeat", "{lost}");
    assert_eq!(host.expect("outcome")["outcome"], "unknown");
    // Dials fail as long as that lasts.
    host.find("a dial in vain", |frame| {
        is_state(frame, "waiting") && frame["error"]["code"] == "timeout"
    });
    net.server_side(&["ip", "route", "del", "blackhole", "198.18.0.1/32"]);
    let healed = Instant::now();
    host.find("open again", |frame| is_state(frame, "open"));
    println!(
        "| packets are dropped on the way back | heartbeat | {:.2} s | {:.2} s | 1 told as `unknown` |",
        noticed.as_secs_f64(),
        healed.elapsed().as_secs_f64()
    );
}
