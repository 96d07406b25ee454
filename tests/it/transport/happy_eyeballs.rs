//! A name with addresses of both families, one of which swallows whatever is sent there: in a network namespace with
//! sockets of IPv6 and IPv4, a resolver's file of its own, and a real server.
//!
//! It needs user namespaces, `ip` and Node; where the machine does not allow that, the test says so and is skipped.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::skip::skip;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, program};

/// Packets to the addresses that end in 9 go into a tunnel that nobody reads, and nothing tells a sender so.
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

/// A namespace; gone when dropped.
struct Net(Child);

impl Net {
    /// `None` where the machine does not allow it.
    fn new(folder: &std::path::Path) -> Option<Self> {
        fs::write(folder.join("hosts"), HOSTS).unwrap();
        let mut child = Command::new("unshare")
            .args(["-rnm", "sh", "-c", SET_UP, "sh"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let until = Instant::now() + SOON;
        while !folder.join("ready").exists() {
            if child.try_wait().unwrap().is_some() || Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Some(Self(child))
    }

    /// A command inside.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        let process = self.0.id().to_string();
        command.args(["--preserve-credentials", "-U", "-n", "-m", "-t", &process]);
        command
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that listens on both families, until it is dropped.
struct Server(Child, u16);

impl Server {
    fn start(net: &Net) -> Option<Self> {
        let servers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/servers");
        let mut command = net.enter();
        command.arg(format!("--wd={servers}"));
        command.args(["node", "ws.mjs", r#"{"host":"::"}"#]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        match line.trim().parse() {
            Ok(port) => Some(Self(child, port)),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_dead_family_costs_a_moment_and_no_dial() {
    let scratch = Scratch::short();
    let Some(net) = Net::new(scratch.folder()) else {
        skip("this machine allows no network namespaces");
        return;
    };
    let Some(server) = Server::start(&net) else {
        skip("npm `ws` does not run in a namespace here");
        return;
    };
    scratch.settings("[default]\nallow = [\"ws://*\"]\n");
    let mut command = net.enter();
    scratch.dress(&mut command);
    command.arg(program()).arg(ORIGIN);
    let mut host = HostProcess::spawn(command);
    host.hello();
    for name in ["live", "six-dead", "four-dead"] {
        let begun = Instant::now();
        let url = format!("ws://{name}.test:{}/echo", server.1);
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
