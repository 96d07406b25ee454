//! A real half-open link: two network namespaces, and a route that swallows whatever the server says.
//!
//! It needs user namespaces, `ip` and Node; where the machine does not allow that, the test says so and is skipped.
//! The home's path is short: a broker behind a long one would need a folder in /tmp that belongs to the namespace's root.
//! `network_faults` tries the same with a relay that stops, everywhere.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::skip::skip;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, eventually, program};

/// The server's address, in a network kept for measurements.
const SERVER: &str = "198.18.0.2";

/// Two namespaces: in the inner one the server, in the outer one whoever is run by `enter`. Gone when dropped.
struct Net {
    outer: Child,
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
        let mut outer = Command::new("unshare")
            .args(["-rn", "sh", "-c", SET_UP, "sh"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let until = Instant::now() + SOON;
        while !folder.join("ready").exists() {
            if outer.try_wait().unwrap().is_some() || Instant::now() > until {
                let _ = outer.kill();
                let _ = outer.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let inner = fs::read_to_string(folder.join("inner"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        Some(Self { outer, inner })
    }

    /// A command in the namespaces of that process.
    fn enter(process: u32) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "-U", "-n", "-t", &process.to_string()]);
        command
    }

    fn server_side(&self, arguments: &[&str]) {
        let done = Self::enter(self.inner).args(arguments).status().unwrap();
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
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

/// Lets extensions dial the server in the clear.
fn allow(scratch: &Scratch) {
    scratch.settings(&format!("[default]\nallow = [\"ws://{SERVER}\"]\n"));
}

/// A host in the outer namespace.
fn host(net: &Net, scratch: &Scratch) -> HostProcess {
    let mut command = Net::enter(net.outer.id());
    scratch.dress(&mut command);
    command.arg(program()).arg(ORIGIN);
    HostProcess::spawn(command)
}

fn is_state(frame: &Value, state: &str) -> bool {
    frame["type"] == "state" && frame["state"] == state
}

#[test]
fn another_network_ends_the_wait() {
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
    assert!(Net::enter(net.outer.id()).args(route).status().unwrap().success());
    let begun = Instant::now();
    host.find("a second dial", |frame| {
        is_state(frame, "connecting") && frame["dial"] == 2
    });
    println!("| another network | | {:.1} s |", begun.elapsed().as_secs_f64());
}

#[test]
fn a_server_whose_words_are_swallowed_on_the_way() {
    let scratch = Scratch::short();
    let Some(net) = Net::new(scratch.folder()) else {
        skip("this machine allows no network namespaces");
        return;
    };
    let servers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/servers");
    let mut command = Net::enter(net.inner);
    command
        .args(["node", "ws.mjs", &json!({"host": SERVER}).to_string()])
        .current_dir(servers);
    let Ok(mut server) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        skip("there is no nsenter here");
        return;
    };
    let mut port = String::new();
    let stdout = server.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).unwrap();
    let Ok(port) = port.trim().parse::<u16>() else {
        let _ = server.kill();
        let _ = server.wait();
        skip("npm `ws` does not run here");
        return;
    };
    allow(&scratch);
    let mut host = host(&net, &scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": format!("ws://{SERVER}:{port}/echo"), "options": {
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
    // Dials find nobody as long as that lasts.
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
    let _ = server.kill();
    let _ = server.wait();
    eventually(SOON, "the server has ended", || {
        server.try_wait().unwrap().map(|_| ())
    });
}
