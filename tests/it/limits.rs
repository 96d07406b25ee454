//! A broker that the system refuses something: memory, space on the disk, file descriptors.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use longwire::core::io::{Caller, Input, Output, PortId};
use longwire::core::journal::JournalEntry;
use longwire::journal::{Journals, Quota};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::Harness;
use crate::skip::skip;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, OTHER_ORIGIN, SOON, eventually, kilobytes};

/// Journals that are there at the start, unless `JOURNALS` says how many; and how many sessions each extension has.
const JOURNALS: usize = 3000;
const OF_ONE_EXTENSION: usize = 100;

fn open(host: &mut HostProcess, session: &str, url: &str, mut options: Value) {
    options["proxy"] = json!("none");
    host.send(&json!({"type": "open", "id": "o", "session": session, "url": url, "options": options}));
}

fn echoes(host: &mut HostProcess, text: &str) {
    host.send(&json!({"type": "send", "session": "echo", "text": text}));
    host.find("the echo", |frame| frame["text"] == text);
}

/// A WebSocket server that sends this to every client, then a small event, and then reads until the connection ends.
fn send(sent: Vec<Message>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("127.0.0.1:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sent = sent.clone();
            std::thread::spawn(move || send_all(stream, sent));
        }
    });
    url
}

fn send_all(stream: TcpStream, sent: Vec<Message>) {
    let Ok(mut socket) = tungstenite::accept(stream) else {
        return;
    };
    let are_sent = sent.into_iter().all(|message| socket.send(message).is_ok());
    while are_sent && socket.read().is_ok() {}
}

#[test]
fn a_broker_without_memory_for_large_messages_loses_only_them() {
    const LARGE: usize = 48 << 20;
    let scratch = Scratch::new();
    let mut other = HostProcess::of(&scratch, OTHER_ORIGIN);
    let echo = Echo::start();
    open(&mut other, "echo", &echo.url(), json!({}));
    echoes(&mut other, "before");
    let broker = scratch.broker();
    let pid = Pid::from_raw(i32::try_from(broker).unwrap());
    let most = kilobytes(broker, "VmSize") * 1024 + (32 << 20);
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    prlimit(pid, Resource::As, limit).unwrap();
    let text = format!("[{}]", vec!["1"; LARGE / 2].join(","));
    let greeting =
        r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let socketio = |packets: Vec<Message>| {
        let open = [Message::text(greeting), Message::text(r#"40{"sid":"x"}"#)];
        open.into_iter().chain(packets).collect::<Vec<_>>()
    };
    let event = json!({"protocol": "socket.io", "socketio": {"transports": ["websocket"]}});
    let mut busy = HostProcess::of(&scratch, ORIGIN);
    for (session, scheme, options, sent) in [
        (
            "text",
            "ws",
            json!({"format": "json"}),
            vec![Message::text(text.clone()), Message::text("\"small\"")],
        ),
        (
            "bytes",
            "ws",
            json!({}),
            vec![Message::binary(vec![0; LARGE]), Message::text("small")],
        ),
        (
            "event",
            "http",
            event.clone(),
            socketio(vec![
                Message::text(format!(r#"42["e",{text}]"#)),
                Message::text(r#"42["small"]"#),
            ]),
        ),
        (
            "attachment",
            "http",
            event,
            socketio(vec![
                Message::text(r#"451-["e",{"_placeholder":true,"num":0}]"#),
                Message::binary(vec![0; 8 << 20]),
                Message::text(r#"42["small"]"#),
            ]),
        ),
    ] {
        open(&mut busy, session, &format!("{scheme}://{}", send(sent)), options);
        // A link whose messages are lost may be redialled: its small message is either lost or delivered.
        busy.find("something behind it", |frame| {
            let is_lost = frame["type"] == "gap" || frame["state"] == "waiting";
            frame["session"] == session && (is_lost || frame.to_string().contains("small"))
        });
        echoes(&mut other, session);
    }
    assert_eq!(scratch.broker(), broker, "it is the same broker");
}

#[test]
fn a_full_disk_loses_no_message_and_deletes_no_journal() {
    let scratch = Scratch::new();
    let state = scratch.home().join("state");
    fs::create_dir_all(&state).unwrap();
    let inside = || {
        let mut inside = Command::new("unshare");
        inside.args(["--map-current-user", "--keep-caps", "-m", "sh", "-c"]);
        inside.arg(format!(
            "mount -t tmpfs -o size=256k none '{}' && exec \"$@\"",
            state.display()
        ));
        inside.arg("sh");
        inside
    };
    if !inside().arg("true").status().is_ok_and(|status| status.success()) {
        return skip("this machine allows no mount namespaces");
    }
    let mut command = inside();
    command.arg(scratch.command().get_program()).arg(ORIGIN);
    scratch.apply_environment(&mut command);
    let mut extension = HostProcess::spawn(command);
    extension.hello();
    let echo = Echo::start();
    open(&mut extension, "echo", &echo.url(), json!({"durability": "disk"}));
    let messages = 100;
    for number in 0..messages {
        let text = format!("{number} {}", "x".repeat(8 << 10));
        extension.send(&json!({"type": "send", "session": "echo", "id": number.to_string(), "text": text}));
    }
    for number in 0..messages {
        let begin = format!("{number} ");
        extension.find("the echo", |frame| {
            frame["type"] == "message"
                && frame["text"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(&begin))
        });
    }
    let frames = extension.passed().any(|frame| {
        let message = frame["error"]["message"].as_str().unwrap_or_default();
        frame["type"] == "state"
            && message.contains("durability is `memory` now")
            && message.contains("No space left on device")
    });
    assert!(
        frames,
        "a `state` reports that messages are in memory now, and why"
    );
    extension.send(&json!({"type": "send", "session": "echo", "id": "last", "text": "last"}));
    let accepted = extension.find("accepted", |frame| {
        frame["type"] == "accepted" && frame["id"] == "last"
    });
    assert_eq!(accepted["durability"], "memory");
    let root = format!("/proc/{}/root", scratch.broker());
    let journal = std::path::Path::new(&root)
        .join(state.strip_prefix("/").unwrap())
        .join("journal");
    let kept: Vec<_> = fs::read_dir(&journal)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    let is_journal = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".stale");
    assert_eq!(kept.iter().filter(|name| is_journal(name)).count(), 1, "{kept:?}");
}

/// Writes journals of sessions that live on disk.
fn write_journals(folder: &std::path::Path, count: usize) {
    let (mut journals, _) = Journals::open(folder, Quota::default()).unwrap();
    for first in (0..count).step_by(OF_ONE_EXTENSION) {
        let mut harness = Harness::on("machine", u64::try_from(first).unwrap());
        let port = PortId(1);
        harness.give(Input::PortOpened(
            port,
            Caller::Extension {
                origin: format!("chrome-extension://{first}/").as_str().into(),
            },
        ));
        harness.send(port, json!({"type": "hello", "protocol": 1}));
        for session in first..count.min(first + OF_ONE_EXTENSION) {
            harness.send(
                port,
                json!({"type": "open", "id": "o", "session": session.to_string(), "url": "wss://203.0.113.1/",
                       "options": {"durability": "disk", "linger": 1}}),
            );
        }
        for output in harness.asked.drain(..) {
            if let Output::Journal(id, entry) = output {
                let entry = match entry {
                    JournalEntry::Append { record, .. } => JournalEntry::Append { record, sync: false },
                    other => other,
                };
                journals.apply(&id, entry).unwrap();
                journals.flush(&id, None).unwrap();
            }
        }
        journals.close_idle();
        journals.close_idle();
    }
}

#[test]
fn a_start_with_more_journals_than_descriptors_restores_every_session() {
    let count = std::env::var("JOURNALS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(JOURNALS);
    let scratch = Scratch::new();
    let folder = scratch.home().join("state/journal");
    fs::create_dir_all(&folder).unwrap();
    write_journals(&folder, count);
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    assert!(before.len() > count, "each has a journal, and there is a lock");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1024 && exec \"$@\"", "sh"]);
    command.arg(scratch.command().get_program()).arg(ORIGIN);
    scratch.apply_environment(&mut command);
    let mut extension = HostProcess::spawn(command);
    extension.hello();
    let limits = fs::read_to_string(format!("/proc/{}/limits", scratch.broker())).unwrap();
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max open files") && line.contains(" 1024 ")),
        "{limits}"
    );
    let mut admin = crate::support::broker::RawPort::admin(&scratch);
    admin.send(&json!({"type": "hello", "protocol": 1}));
    admin.send(&json!({"type": "status", "id": "s"}));
    let log = eventually(SOON, "the sessions are there", || {
        let log = scratch.log();
        log.contains("broker started").then_some(log)
    });
    assert!(!log.contains("some journals are not used"), "{log}");
    assert_eq!(names(), before, "no journal is deleted or set aside");
    let echo = Echo::start();
    open(&mut extension, "echo", &echo.url(), json!({"durability": "disk"}));
    echoes(&mut extension, "and there is room for more");
    let _ = std::io::stdout().flush();
}
