//! The host as browsers start it: it forwards, survives the broker, and ends when it should.

use std::process::Stdio;
use std::time::Duration;

use longwire::wire::frame::{FROM_BROWSER, TO_BROWSER, framed};
use serde_json::{Value, json};

use crate::support::broker::FakeBroker;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, eventually, is_alive, kill, kilobytes};

/// Within this a host ends. One second is promised; a busy machine is given more.
const PROMPT: Duration = Duration::from_secs(5);

fn host_states(host: &mut HostProcess) -> Vec<String> {
    let mut states = Vec::new();
    loop {
        let frame = host.expect("host");
        states.push(frame["state"].as_str().unwrap().to_owned());
        if ["back", "failed"].contains(&states.last().unwrap().as_str()) {
            return states;
        }
    }
}

#[test]
fn both_browser_families_are_welcomed_with_their_origins() {
    let scratch = Scratch::new();
    let mut chromium = HostProcess::chromium(&scratch);
    assert_eq!(chromium.expect("host")["state"], "starting");
    assert_eq!(chromium.hello()["origin"], ORIGIN);
    let manifest = "/home/jörg & söhne/native hosts/com.longwire.bridge.json";
    let mut firefox = HostProcess::firefox(&scratch, manifest, "hello@longwire");
    let welcome = firefox.hello();
    assert_eq!(welcome["origin"], "hello@longwire");
    assert!(welcome.to_string().starts_with(r#"{"#));
}

#[test]
fn a_host_without_a_valid_origin_is_refused() {
    let scratch = Scratch::new();
    let output = scratch
        .command()
        .arg("chrome-extension://nobody/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "stdout belongs to frames");
    assert!(String::from_utf8_lossy(&output.stderr).contains("chrome-extension://nobody/"));
    assert!(scratch.brokers().is_empty());
}

#[test]
fn frames_are_reassembled_from_any_pipe_split() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let mut bytes = framed(json!({"type": "ping", "id": "é1"}).to_string().as_bytes());
    // The browser may send an empty message, which is ignored.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend(framed(json!({"type": "ping", "id": "2"}).to_string().as_bytes()));
    for byte in bytes {
        host.send_bytes(&[byte]);
    }
    assert_eq!(host.expect("pong")["id"], "é1");
    assert_eq!(host.expect("pong")["id"], "2");
}

#[test]
fn a_large_frame_passes_and_one_above_the_limit_is_refused_by_the_host() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let pad = "x".repeat(5 << 20);
    host.send(&json!({"type": "ping", "id": "large", "pad": pad}));
    assert_eq!(host.expect("pong")["id"], "large");

    let mut stdin = host.take_stdin();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        let length = FROM_BROWSER + 1;
        stdin
            .write_all(&u32::try_from(length).unwrap().to_ne_bytes())
            .unwrap();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..length / chunk.len() {
            stdin.write_all(&chunk).unwrap();
        }
        stdin.write_all(&chunk[..length % chunk.len()]).unwrap();
        stdin
            .write_all(&framed(br#"{"type":"ping","id":"after"}"#))
            .unwrap();
        stdin
    });
    assert_eq!(host.expect("error")["code"], "frame-too-large");
    assert_eq!(host.expect("pong")["id"], "after");
    drop(writer.join().unwrap());
    // It streams: neither frame was ever held.
    let held = kilobytes(host.id(), "RssAnon");
    assert!(held < 2048, "the host holds {held} kB of its own");
}

#[test]
fn the_memory_of_a_host_stays_small() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let (own, all) = (kilobytes(host.id(), "RssAnon"), kilobytes(host.id(), "VmRSS"));
    // A debug build's code is several times as large, and so is what the loader has to write into it.
    assert!(
        own < if cfg!(debug_assertions) { 1536 } else { 1024 },
        "{own} kB of its own"
    );
    assert!(cfg!(debug_assertions) || all < 4096, "{all} kB resident");
}

#[test]
fn a_host_exits_with_its_port_after_forwarding_what_it_read() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut host = HostProcess::chromium(&scratch);
    let (mut wire, preamble) = broker.accept();
    assert_eq!(preamble["longwire"], 1);
    assert_eq!(preamble["kind"], "host");
    assert_eq!(preamble["origin"], ORIGIN);
    assert_eq!(preamble["pid"], host.id());
    for number in 0..2000 {
        host.send(&json!({"type": "ping", "id": number.to_string()}));
    }
    host.close();
    for number in 0..2000 {
        assert_eq!(wire.next().unwrap()["id"], number.to_string());
    }
    assert_eq!(wire.next(), None);
    drop(wire);
    assert_eq!(host.wait(PROMPT).code(), Some(0));
}

#[test]
fn a_host_exits_with_its_port_although_the_broker_hangs() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut host = HostProcess::chromium(&scratch);
    let (_wire, _) = broker.accept();
    host.close();
    assert_eq!(host.wait(PROMPT).code(), Some(0));
}

#[test]
fn a_host_that_exits_inside_a_frame_does_not_affect_others() {
    let scratch = Scratch::new();
    let mut other = HostProcess::chromium(&scratch);
    other.hello();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let frame = framed(json!({"type": "ping", "id": "1"}).to_string().as_bytes());
    host.send_bytes(&frame[..frame.len() - 3]);
    host.close();
    assert_eq!(host.wait(PROMPT).code(), Some(0));
    assert_eq!(host.next(), None);
    other.ping("still here");
}

#[test]
fn a_host_exits_when_the_broker_closes_its_connection() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut host = HostProcess::chromium(&scratch);
    let (mut wire, _) = broker.accept();
    wire.send(&json!({"type": "last"}));
    wire.send_bytes(&[0; 4]);
    assert_eq!(host.expect("last"), json!({"type": "last"}));
    assert_eq!(host.next(), None, "the empty frame is not the browser's");
    assert_eq!(host.wait(PROMPT).code(), Some(0));
}

#[test]
fn a_host_exits_with_its_parent_although_the_pipe_stays_open() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut shell = std::process::Command::new("/bin/sh");
    scratch.apply_environment(&mut shell);
    shell
        .args(["-c", r#"exec 3<&0; "$0" "$1" <&3 & wait"#])
        .arg(crate::support::program())
        .arg(ORIGIN);
    let mut parent = HostProcess::spawn(shell);
    let (_wire, preamble) = broker.accept();
    let host = u32::try_from(preamble["pid"].as_u64().unwrap()).unwrap();
    assert_ne!(host, parent.id());
    parent.kill();
    eventually(PROMPT, "the host ends", || (!is_alive(host)).then_some(()));
}

#[test]
fn only_whole_frames_reach_the_browser() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut host = HostProcess::chromium(&scratch);
    let (mut wire, _) = broker.accept();
    let text = |length: usize| format!(r#"{{"type":"{}"}}"#, "x".repeat(length - r#"{"type":""}"#.len()));
    wire.send_bytes(&framed(text(TO_BROWSER + 1).as_bytes()));
    wire.send_bytes(&framed(text(TO_BROWSER).as_bytes()));
    let whole = host.next().unwrap();
    assert_eq!(
        whole.to_string().len(),
        TO_BROWSER,
        "the one at the limit, and not the one above"
    );
    let torn = framed(json!({"type": "torn"}).to_string().as_bytes());
    wire.send_bytes(&torn[..torn.len() - 1]);
    drop(wire);
    assert_eq!(host.expect("host")["state"], "lost");
    let (mut wire, _) = broker.accept();
    wire.send(&json!({"type": "whole"}));
    let frames: Vec<_> = (0..2).map(|_| host.next().unwrap()["type"].clone()).collect();
    assert_eq!(
        frames,
        ["host", "whole"],
        "`back` precedes the frames of the new broker"
    );
}

#[test]
fn a_frame_interrupted_by_a_broker_crash_is_not_continued_to_the_next() {
    let scratch = Scratch::new();
    let broker = FakeBroker::listen(&scratch);
    let mut host = HostProcess::chromium(&scratch);
    let (mut wire, _) = broker.accept();
    let cut = framed(
        json!({"type": "cut", "pad": "x".repeat(1000)})
            .to_string()
            .as_bytes(),
    );
    host.send(&json!({"type": "first"}));
    host.send_bytes(&cut[..500]);
    assert_eq!(wire.next().unwrap()["type"], "first");
    drop(wire);
    assert_eq!(host_states(&mut host), ["lost", "back"]);
    let (mut wire, _) = broker.accept();
    host.send_bytes(&cut[500..]);
    host.send(&json!({"type": "second"}));
    assert_eq!(wire.next().unwrap()["type"], "second");
}

#[test]
fn a_killed_broker_is_replaced_under_an_open_port() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    let first = host.hello();
    assert_eq!(host.expect("host")["state"], "starting");
    for _ in 0..2 {
        let broker = scratch.broker();
        kill(i32::try_from(broker).unwrap());
        assert_eq!(host_states(&mut host), ["lost", "starting", "back"]);
        assert_ne!(scratch.broker(), broker);
        host.send(&json!({"type": "ping", "id": "too early"}));
        assert_eq!(host.expect("error")["code"], "hello-required");
        assert_ne!(host.hello()["broker"], first["broker"]);
        host.ping("again");
    }
}

#[test]
fn a_port_without_a_broker_is_reported_and_closed() {
    let scratch = Scratch::new();
    // No folder can be made in the place of a file.
    std::fs::write(scratch.home().join("run"), "in the way").unwrap();
    let mut host = HostProcess::chromium(&scratch);
    let failed = host.expect("host");
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["code"], "broker-unreachable");
    assert_eq!(host.next(), None::<Value>);
    assert_eq!(host.wait(SOON).code(), Some(3));
}

#[test]
fn a_host_without_a_broker_exits_promptly_with_its_port() {
    let scratch = Scratch::new();
    std::fs::write(scratch.home().join("run"), "in the way").unwrap();
    let mut host = HostProcess::chromium(&scratch);
    host.send(&json!({"type": "hello", "protocol": 1}));
    host.close();
    assert_eq!(host.wait(PROMPT).code(), Some(0));
}
