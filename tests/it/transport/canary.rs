//! Secrets go to the server and nowhere else: everything that is written is searched for them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::servers::{close, frame, switching};
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, eventually};

/// Stands in every secret of this test, and in nothing else.
const CANARY: &str = "c4n4ry";

/// A server that refuses, then lets in and sends away, then lets in: and the heads of the requests it was sent.
fn server() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().flatten().enumerate() {
            let sender = sender.clone();
            std::thread::spawn(move || serve(count, stream, &sender));
        }
    });
    (port, heads)
}

fn serve(count: usize, mut stream: TcpStream, heads: &std::sync::mpsc::Sender<String>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let _ = heads.send(head.clone());
    let answer = match count {
        0 => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
        1 => [
            switching(&head, "").into_bytes(),
            frame(0x88, close(4401, "expired")),
        ]
        .concat(),
        _ => switching(&head, "").into_bytes(),
    };
    let _ = stream.write_all(&answer);
    let mut bin = [0; 1024];
    while count > 0 && stream.read(&mut bin).is_ok_and(|n| n > 0) {}
}

/// Every file below a folder, but the settings.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && !path.ends_with("config") {
            files(&path, found);
        } else if kind.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let leaks = bytes
        .windows(CANARY.len())
        .any(|window| window == CANARY.as_bytes());
    assert!(
        !leaks,
        "a secret is in {what}:\n{}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn secrets_are_never_written() {
    let scratch = Scratch::new().with("LONGWIRE_LOG", "trace");
    let settings =
        format!("[default]\nown-proxy = true\n[proxy]\ncredentials = [\"me:{CANARY}@127.0.0.1:1\"]\n");
    scratch.settings(&settings);
    let stderr = scratch.folder().join("host.stderr");
    let mut command = scratch.command();
    command
        .arg(ORIGIN)
        .stderr(Stdio::from(fs::File::create(&stderr).unwrap()));
    let mut host = HostProcess::spawn(command);
    let mut received = vec![host.hello()];

    let (port, heads) = server();
    let url = |path: &str| format!("ws://me:{CANARY}@127.0.0.1:{port}/{path}?token={CANARY}");
    host.send(
        &json!({"type": "open", "id": "1", "session": "s", "url": url("a"), "options": {
            "auth": "provider", "durability": "disk", "cookies": format!("sid={CANARY}"),
            "headers": {"X-Key": CANARY}, "subprotocols": [format!("key.{CANARY}")],
            "greeting": [{"text": CANARY}], "heartbeat": {"message": {"text": CANARY}},
            "reconnect": {"minDelay": 1, "maxDelay": 1},
        }}),
    );
    for attempt in 0..3 {
        // Refused twice with fresh credentials, the session has failed; new ones revive it.
        let auth_needed = if attempt < 2 {
            host.expect("auth-needed")
        } else {
            host.find("the failure", |frame| frame["state"] == "failed")
        };
        host.send(&json!({
            "type": "authorize", "id": format!("a{attempt}"), "session": "s", "nonce": auth_needed["nonce"], "url": url("b"),
            "headers": {"Authorization": format!("Bearer {CANARY}")}, "subprotocols": [format!("t.{CANARY}")],
        }));
        received.push(auth_needed);
        let head = heads.recv_timeout(SOON).unwrap();
        let expected =
            ["token=", "X-Key: ", "Bearer ", "sid=", "t."].map(|before| format!("{before}{CANARY}"));
        for secret in expected {
            assert!(
                head.to_lowercase().contains(&secret.to_lowercase()),
                "{secret} did not arrive:\n{head}"
            );
        }
    }
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open" && frame["dial"] == 3
    });

    // Failures are reported without them as well.
    let refused = |host: &mut HostProcess, received: &mut Vec<Value>, open: Value| {
        host.send(&open);
        received.push(host.expect("error"));
    };
    let open = |id: &str, url: String, options: Value| json!({"type": "open", "id": id, "session": id, "url": url, "options": options});
    let plain = format!("ws://me:{CANARY}@example.com/{CANARY}?x={CANARY}");
    refused(&mut host, &mut received, open("e1", plain, json!({})));
    refused(
        &mut host,
        &mut received,
        open("e2", url("c"), json!({"headers": {"Host": CANARY}})),
    );
    refused(
        &mut host,
        &mut received,
        open("e3", url("c"), json!({"headers": {"X": format!("{CANARY}\n")}})),
    );
    refused(
        &mut host,
        &mut received,
        open("e4", url("c"), json!({"proxy": format!("ftp://u:{CANARY}@p")})),
    );
    refused(
        &mut host,
        &mut received,
        open("e5", url("c"), json!({"cookies": format!("{CANARY}\u{7}")})),
    );
    for proxy in [
        format!("http://u:{CANARY}@127.0.0.1:1"),
        "socks5://127.0.0.1:1".to_owned(),
    ] {
        host.send(&open(&proxy[..5], url("c"), json!({"proxy": proxy})));
        received.push(host.find("proxy", |frame| frame["error"]["code"] == "proxy"));
    }

    let output = scratch.command().args(["status", "--json"]).output().unwrap();
    assert!(output.status.success());
    assert_clean("status", &output.stdout);
    let output = scratch.command().arg("config").output().unwrap();
    assert_clean("config", &output.stdout);
    for process in [scratch.broker(), host.id()] {
        assert_clean(
            "the process list",
            &fs::read(format!("/proc/{process}/cmdline")).unwrap(),
        );
    }
    let output = scratch.command().arg("stop").output().unwrap();
    assert!(output.status.success());
    scratch.wait_for_no_broker();
    host.close();
    host.wait(SOON);
    while let Some(frame) = host.next() {
        received.push(frame);
    }
    for frame in received {
        assert_clean("a frame", frame.to_string().as_bytes());
    }
    let mut found = Vec::new();
    eventually(SOON, "the log is written", || {
        found.clear();
        files(scratch.folder(), &mut found);
        // Any file may be the broker's: the order of a folder means nothing, and the host has a log of its own.
        let ended = found.iter().any(|(path, bytes)| {
            path.contains("/logs/") && bytes.windows(20).any(|window| window == b"broker shutting down")
        });
        ended.then_some(())
    });
    assert!(
        found.iter().any(|(path, _)| path.contains("/journal/")),
        "{found:?}"
    );
    for (path, bytes) in found {
        assert_clean(&path, &bytes);
    }
}
