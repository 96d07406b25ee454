//! An extension's end of a real host's pipe. It checks what it reads and spends as little as it can on that.

use std::io::{BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use longwire::wire::frame::framed;
use serde_json::Value;

use crate::broker::{cpu, resident, wakeups};
use crate::subject::Subject;

/// The only session of a port.
const SESSION: &str = "s";

/// A host process and its pipe.
pub(crate) struct Port {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    frame: Vec<u8>,
    /// The `seq` of the last record seen.
    last: u64,
    is_open: bool,
    /// What the server has counted, as it said last.
    counted: u64,
}

/// Messages of one native frame.
pub(crate) struct News {
    pub(crate) count: u64,
    pub(crate) last: u64,
}

impl Port {
    /// Starts a host as Chromium does, and waits for `welcome`.
    pub(crate) fn open(subject: &Subject) -> Self {
        Self::open_as(subject, "default")
    }

    /// The same, in a profile of this name.
    pub(crate) fn open_as(subject: &Subject, profile: &str) -> Self {
        let mut process = subject
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = Self {
            input: process.stdin.take(),
            output: BufReader::with_capacity(1 << 20, process.stdout.take().unwrap()),
            process,
            frame: Vec::new(),
            last: 0,
            is_open: false,
            counted: 0,
        };
        port.say(&format!(
            r#"{{"type":"hello","protocol":1,"client":"bench","profile":"{profile}"}}"#
        ));
        while port.next_kind("welcome").is_none() {}
        port
    }

    /// Opens the session.
    pub(crate) fn attach(&mut self, url: &str, options: &str) {
        self.say(&format!(
            r#"{{"type":"open","id":"o","session":"{SESSION}","url":"{url}","options":{options}}}"#
        ));
        while self.next_kind("opened").is_none() {}
    }

    /// Opens this many sessions, and waits until all have a link.
    pub(crate) fn attach_many(&mut self, url: &str, count: usize) {
        for n in 0..count {
            self.say(&format!(
                r#"{{"type":"open","id":"o","session":"s{n}","url":"{url}","options":{{"compression":false,"heartbeat":false}}}}"#
            ));
        }
        let mut open = 0;
        while open < count {
            self.read();
            each(&self.frame, |element| {
                assert!(element["type"] != "error", "{element}");
                open += usize::from(element["state"] == "open" && element["type"] == "state");
            });
        }
    }

    pub(crate) fn wait_for_open(&mut self) {
        while !self.is_open {
            self.next_kind("state");
        }
    }

    pub(crate) fn ack(&mut self, seq: u64) {
        self.say(&format!(r#"{{"type":"ack","session":"{SESSION}","seq":{seq}}}"#));
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.say(&format!(
            r#"{{"type":"send","session":"{SESSION}","text":"{text}"}}"#
        ));
    }

    /// Many messages of 200 bytes in one native frame.
    pub(crate) fn send_batch(&mut self, first: u64, count: u64, ids: bool) {
        let text = "u".repeat(200);
        let frames: Vec<String> = (first..first + count)
            .map(|number| {
                let id = if ids {
                    format!(r#""id":"{number}","#)
                } else {
                    String::new()
                };
                format!(r#"{{"type":"send","session":"{SESSION}",{id}"text":"{text}"}}"#)
            })
            .collect();
        self.say(&format!(r#"{{"type":"batch","frames":[{}]}}"#, frames.join(",")));
    }

    /// Waits for the server's next count.
    pub(crate) fn counted(&mut self) -> u64 {
        let before = self.counted;
        while self.counted == before {
            self.read();
            let frame = std::mem::take(&mut self.frame);
            each(&frame, |element| {
                let word = element["type"].as_str().unwrap();
                assert!(word != "error", "{element}");
                if word == "message" {
                    self.counted = element["text"].as_str().unwrap().parse().unwrap();
                    let seq = element["seq"].as_u64().unwrap();
                    self.say(&format!(r#"{{"type":"ack","session":"{SESSION}","seq":{seq}}}"#));
                }
            });
            self.frame = frame;
        }
        self.counted
    }

    /// The next native frame's messages, each with a payload of `size` bytes in which nothing had to be escaped. Other
    /// frames are looked at in full.
    pub(crate) fn messages(&mut self, size: usize) -> News {
        const HEAD: &[u8] = br#"{"type":"message","session":"s","seq":"#;
        const BATCH: &[u8] = br#"{"type":"batch","frames":["#;
        self.read();
        let mut rest = self.frame.as_slice();
        let is_batch = rest.starts_with(BATCH);
        if is_batch {
            rest = &rest[BATCH.len()..];
        }
        let mut count = 0;
        while !rest.is_empty() && rest[0] != b']' {
            if let Some(tail) = rest.strip_prefix(HEAD) {
                let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let seq = tail[..digits]
                    .iter()
                    .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
                assert!(
                    count == 0 && self.last == 0 || seq == self.last + 1,
                    "{seq} after {}",
                    self.last
                );
                self.last = seq;
                count += 1;
                // `,"text":"` or `,"json":`, the payload, then `"?,"time":1234567890123}`.
                let payload = &tail[digits + 8..];
                let end = size + payload[size..].iter().position(|byte| *byte == b'}').unwrap();
                rest = &payload[end + 1..];
                // JSON payloads end with a brace of their own, and stand in quotes where they are sent as text.
                rest = rest.strip_prefix(b"\"").unwrap_or(rest);
                if rest.starts_with(b",\"time\"") {
                    let end = rest.iter().position(|byte| *byte == b'}').unwrap();
                    rest = &rest[end + 1..];
                }
            } else {
                let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
                let element = values.next().unwrap().unwrap();
                let known = ["state", "live", "ok", "accepted", "outcome"];
                assert!(known.contains(&element["type"].as_str().unwrap()), "{element}");
                if let Some(seq) = element["seq"].as_u64() {
                    self.last = seq;
                }
                rest = &rest[values.byte_offset()..];
            }
            rest = rest.strip_prefix(b",").unwrap_or(rest);
        }
        News {
            count,
            last: self.last,
        }
    }

    /// Takes and acknowledges messages of all sessions until then; how many came.
    pub(crate) fn listen(&mut self, until: Instant) -> u64 {
        let mut received = 0;
        while Instant::now() < until {
            self.read();
            let (frame, mut acks) = (std::mem::take(&mut self.frame), Vec::new());
            each(&frame, |element| {
                if element["type"] == "message" {
                    received += 1;
                    acks.push(format!(
                        r#"{{"type":"ack","session":{},"seq":{}}}"#,
                        element["session"], element["seq"]
                    ));
                }
            });
            self.frame = frame;
            self.say(&format!(r#"{{"type":"batch","frames":[{}]}}"#, acks.join(",")));
        }
        received
    }

    /// How often the host has gone to sleep so far.
    pub(crate) fn wakeups(&self) -> u64 {
        wakeups(&self.process)
    }

    /// Processor time of the host so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.process)
    }

    /// Resident memory of the host, in kB.
    pub(crate) fn resident(&self) -> u64 {
        resident(&self.process)
    }

    /// Ends the host.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        self.process.wait().unwrap();
    }

    /// Ends the session and the host.
    pub(crate) fn close(mut self) {
        self.say(&format!(r#"{{"type":"close","session":"{SESSION}","id":"x"}}"#));
        let mut closed = false;
        while !closed && self.try_read() {
            let frame = std::mem::take(&mut self.frame);
            each(&frame, |element| {
                closed |= matches!(element["type"].as_str(), Some("ok" | "error"))
            });
            self.frame = frame;
        }
        self.end();
    }

    fn say(&mut self, json: &str) {
        self.input
            .as_mut()
            .unwrap()
            .write_all(&framed(json.as_bytes()))
            .unwrap();
    }

    /// Reads one native frame; the first of its elements that has this type.
    fn next_kind(&mut self, kind: &str) -> Option<Value> {
        self.read();
        let mut found = None;
        each(&self.frame, |element| {
            assert!(element["type"] != "error", "{element}");
            if element["type"] == "state" {
                self.last = element["seq"].as_u64().unwrap();
                self.is_open = element["state"] == "open";
            }
            if element["type"] == kind && found.is_none() {
                found = Some(element);
            }
        });
        found
    }

    fn read(&mut self) {
        assert!(self.try_read(), "the host has exited");
    }

    fn try_read(&mut self) -> bool {
        let mut length = [0; 4];
        if self.output.read_exact(&mut length).is_err() {
            return false;
        }
        let length = usize::try_from(u32::from_ne_bytes(length)).unwrap();
        self.frame.resize(length, 0);
        self.output.read_exact(&mut self.frame).is_ok()
    }
}

fn each(frame: &[u8], mut visit: impl FnMut(Value)) {
    let frame: Value = serde_json::from_slice(frame).unwrap();
    match frame {
        Value::Object(mut batch) if batch["type"] == "batch" => {
            let Some(Value::Array(frames)) = batch.remove("frames") else {
                panic!("a batch without frames")
            };
            frames.into_iter().for_each(visit);
        }
        single => visit(single),
    }
}
