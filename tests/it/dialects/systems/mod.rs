//! The systems that Longwire was made for, each against the server of its example: real server software, a real host
//! and broker, and the frames that the example's worker sends.

mod agent;
mod canvas;
mod frappe;
mod gateway;
mod image_bridge;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

/// An extension with its broker, and the server of an example.
struct System {
    host: HostProcess,
    server: Server,
    scratch: Scratch,
}

impl System {
    fn of(example: &str, variables: &[(&str, &str)]) -> Option<Self> {
        Self::with_settings(example, variables, "")
    }

    fn with_settings(example: &str, variables: &[(&str, &str)], settings: &str) -> Option<Self> {
        Some(Self::on(Server::example(example, variables)?, settings))
    }

    fn on(server: Server, settings: &str) -> Self {
        Self::within(Scratch::new(), server, settings)
    }

    fn within(scratch: Scratch, server: Server, settings: &str) -> Self {
        scratch.settings(settings);
        let mut host = HostProcess::chromium(&scratch);
        host.hello();
        Self {
            host,
            server,
            scratch,
        }
    }

    fn send(&mut self, frame: Value) {
        self.host.send(&frame);
    }

    fn opens(&mut self, session: &str, url: String, options: Value) -> Value {
        self.send(json!({"type":"open","id":session,"session":session,"url":url,"options":options}));
        let opened = self.host.find("opened or error", |frame| {
            (frame["type"] == "opened" || frame["type"] == "error") && frame["id"] == session
        });
        assert_eq!(opened["type"], "opened", "{opened}");
        opened
    }

    fn state(&mut self, state: &str) -> Value {
        self.host
            .find(state, |frame| frame["type"] == "state" && frame["state"] == state)
    }

    fn event(&mut self, event: &str) -> Value {
        self.host.find(event, |frame| {
            frame["type"] == "message" && frame["event"] == event
        })
    }

    /// The next message whose JSON has this type.
    fn message_of_type(&mut self, kind: &str) -> Value {
        self.host.find(kind, |frame| {
            frame["type"] == "message" && frame["json"]["type"] == kind
        })["json"]
            .clone()
    }

    /// What the server answers to a GET, as it would to a page.
    fn got(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn status(&mut self) -> Value {
        self.send(json!({"type":"status","id":"status"}));
        self.host.expect("status")
    }
}

#[test]
fn the_tests_that_documents_name_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for document in ["README.md", "docs/SERVERS.md"] {
        for word in read(document).split('`') {
            let path: Vec<&str> = word.trim_start_matches("systems::").split("::").collect();
            let (Some(&file), Some(&test)) = (path.first(), path.last()) else {
                continue;
            };
            let file = format!("tests/it/dialects/systems/{file}.rs");
            if path.len() < 2 || word.contains(' ') || !root.join(&file).exists() {
                continue;
            }
            let source = read(&file);
            assert!(source.contains(&format!("fn {test}(")), "{document} names {word}");
            seen.insert(test.to_owned());
        }
    }
    // Every test of a system is named.
    for system in ["agent", "canvas", "frappe", "gateway", "image_bridge"] {
        let source = read(&format!("tests/it/dialects/systems/{system}.rs"));
        for test in source
            .split("#[test]\nfn ")
            .skip(1)
            .map(|rest| rest.split('(').next().unwrap())
        {
            assert!(seen.contains(test), "docs/SERVERS.md does not name {test}");
        }
    }
}
