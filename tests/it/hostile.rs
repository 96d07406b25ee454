//! No input, however broken, ends the broker or another port.

use std::io::Write as _;

use longwire::wire::frame::framed;
use serde_json::{Value, json};

use crate::support::broker::RawPort;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually, kilobytes};

/// A broker with one well-behaved port that must not be affected.
fn with_unaffected_port(hostile: impl FnOnce(&Scratch)) {
    let scratch = Scratch::new();
    let mut other = HostProcess::chromium(&scratch);
    other.hello();
    let broker = scratch.broker();
    hostile(&scratch);
    other.ping("still here");
    assert_eq!(scratch.broker(), broker);
}

#[test]
fn invalid_data_on_the_local_socket_affects_no_one_else() {
    with_unaffected_port(|scratch| {
        let large = u32::MAX.to_ne_bytes();
        let stop = framed(br#"{"type":"stop","id":"1"}"#);
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            &[0; 64],
            &[0xff; 4096],
            &large,
            &framed(b"{}"),
            &framed(b"[[[[[[[["),
            &framed(br#"{"longwire":1,"kind":"host","pid":1,"version":"1"}"#),
            &stop,
        ] {
            let mut wire = RawPort::connect(scratch);
            wire.send_bytes(garbage);
            let received = wire.next().expect("it receives the error");
            assert_eq!(received["code"], "bad-frame", "{received}");
            assert_eq!(wire.next(), Some(Value::Null), "and the connection ends");
            assert_eq!(wire.next(), None);
        }
        drop(RawPort::connect(scratch));
    });
}

#[test]
fn a_process_that_connects_repeatedly_does_not_block_others() {
    with_unaffected_port(|scratch| {
        let mut silent: Vec<RawPort> = (0..400).map(|_| RawPort::connect(scratch)).collect();
        let mut new_connection = HostProcess::chromium(scratch);
        new_connection.hello();
        new_connection.ping("let in");
        let closed = silent.iter_mut().filter_map(RawPort::try_end).count();
        assert!(closed > 350, "only some of {closed} may wait");
        // Connections that identify themselves become ports, whose number per process is limited as well.
        drop(silent);
        let mut ports: Vec<RawPort> = Vec::new();
        let refused = (0..200).find_map(|_| {
            let mut port = RawPort::admin(scratch);
            port.send(&json!({"type": "status", "id": "1"}));
            let answer = port.next().expect("an answer");
            ports.push(port);
            (answer["code"] == "rate-limited").then_some(answer)
        });
        assert!(refused.is_some() && ports.len() > 4, "{}", ports.len());
        new_connection.ping("still let in");
    });
}

#[test]
fn every_invalid_frame_is_answered_and_the_port_stays_open() {
    with_unaffected_port(|scratch| {
        let mut host = HostProcess::chromium(scratch);
        host.send(&json!({"type": "ping", "id": "early"}));
        let refused = host.expect("error");
        assert_eq!(
            (&refused["code"], &refused["id"]),
            (&json!("hello-required"), &json!("early"))
        );
        host.hello();
        let deep = format!(r#"{{"type":"ping","id":"1","x":{}"#, "[".repeat(200_000));
        for (broken, code) in [
            ("{not json", "bad-json"),
            ("\u{0}", "bad-json"),
            (deep.as_str(), "bad-json"),
            ("42", "bad-frame"),
            ("[]", "bad-frame"),
            ("{}", "bad-frame"),
            (r#"{"type":"ping"}"#, "bad-frame"),
            (r#"{"type":"ack","session":"","seq":1}"#, "bad-session-name"),
            (r#"{"type":"what"}"#, "unknown-type"),
            (r#"{"type":"stop","id":"1"}"#, "unknown-type"),
            (r#"{"type":"hello","protocol":9}"#, "unsupported"),
            (r#"{"type":"ack","session":"none","seq":1}"#, "no-session"),
            (r#"{"type":"batch"}"#, "bad-frame"),
            (
                r#"{"type":"batch","frames":[{"type":"batch","frames":[]}]}"#,
                "bad-frame",
            ),
            (
                r#"{"type":"part","part":"p","index":1,"last":true,"data":""}"#,
                "bad-part",
            ),
            (
                r#"{"type":"open","id":"1","session":"s","url":"http://["}"#,
                "bad-url",
            ),
            (r#"{"type":"open","id":"1","session":"s"}"#, "no-session"),
        ] {
            host.send_bytes(&framed(broken.as_bytes()));
            let error = host.expect("error");
            assert_eq!(error["code"], code, "{broken:.80}: {error}");
            assert!(error["message"].is_string() && error["retry"].is_string());
        }
        host.send_bytes(&framed(b"{\"type\":\"ping\",\"id\":\"\xff\"}"));
        assert_eq!(host.expect("error")["code"], "bad-json");
        host.send(&json!({"type": "later", "optional": true}));
        host.ping("still here");
    });
}

#[test]
fn batches_and_parts_are_answered_in_order() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let frame = json!({"type": "ping", "id": "in parts"}).to_string();
    let (head, tail) = frame.split_at(10);
    host.send(&json!({"type": "batch", "frames": [
        {"type": "ping", "id": "1"},
        {"type": "part", "part": "p", "index": 0, "last": false, "data": head},
        17,
        {"type": "ping", "id": "2"},
    ]}));
    host.send(&json!({"type": "part", "part": "p", "index": 1, "last": true, "data": tail}));
    let answers: Vec<_> = (0..5)
        .map(|_| host.next().unwrap())
        .filter(|frame| frame["type"] != "host")
        .map(|frame| frame.get("id").unwrap_or(&frame["code"]).clone())
        .collect();
    assert_eq!(answers, ["1", "bad-frame", "2", "in parts"]);
}

#[test]
fn a_port_that_never_reads_its_answers_is_not_read_from() {
    with_unaffected_port(|scratch| {
        let before = kilobytes(scratch.broker(), "VmRSS");
        let (mut host, _stdout) = HostProcess::without_reader(scratch);
        let mut stdin = host.take_stdin();
        let (sent, progress) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let pings = framed(br#"{"type":"ping","id":"1"}"#).repeat(4000);
            // Ends when the host is killed below.
            while stdin.write_all(&pings).is_ok() {
                let _ = sent.send(());
            }
        });
        // It takes what fits into pipes and bounds, then no more.
        let mut chunks = 0;
        while progress.recv_timeout(std::time::Duration::from_secs(1)).is_ok() {
            chunks += 1;
            assert!(chunks < 10_000, "the broker listens without end");
        }
        let grown = kilobytes(scratch.broker(), "VmRSS").saturating_sub(before);
        assert!(grown < 100_000, "the broker has grown by {grown} kB");
        host.kill();
        writer.join().unwrap();
    });
}

#[test]
fn a_port_with_far_too_many_unread_answers_is_closed() {
    with_unaffected_port(|scratch| {
        let (mut host, _stdout) = HostProcess::without_reader(scratch);
        host.send(&json!({"type": "hello", "protocol": 1}));
        for number in 0..100 {
            host.send(&json!({
                "type": "open", "id": "o", "session": number.to_string(), "url": "ws://127.0.0.1:1/",
                "options": {"reconnect": false, "proxy": "none"},
            }));
        }
        // Three megabytes request a gigabyte.
        let asks = vec![json!({"type": "status", "id": "q"}); 60_000];
        host.send(&json!({"type": "batch", "frames": asks}));
        eventually(SOON * 3, "it is dropped", || {
            scratch.log().contains("client is not reading").then_some(())
        });
        let most = kilobytes(scratch.broker(), "VmHWM");
        assert!(most < 500_000, "the broker grew to {most} kB");
        host.kill();
    });
}

#[test]
fn a_connection_closed_inside_a_large_frame_frees_its_memory() {
    with_unaffected_port(|scratch| {
        for _ in 0..10 {
            let mut wire = RawPort::connect(scratch);
            wire.send(&json!({"longwire": 1, "kind": "host", "origin": "a@b", "pid": 1, "version": "1"}));
            wire.send_bytes(&(60u32 << 20).to_ne_bytes());
            wire.send_bytes(&vec![b'x'; 4 << 20]);
        }
        let broker = scratch.broker();
        eventually(SOON, "the memory is given back", || {
            (kilobytes(broker, "VmRSS") < 80_000).then_some(())
        });
    });
}
