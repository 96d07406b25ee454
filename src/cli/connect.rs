//! `longwire connect URL`: be an extension from a terminal, through a real host and broker.
//!
//! Lines from stdin are sent, messages are printed one a line. It keeps nothing: when it ends, the session is closed.

use std::io;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::args::Connect;
use super::error::{Exit, Failure};
use super::port::Port;
use super::render;

/// Whom the broker takes the terminal for: sessions of no extension.
const ORIGIN: &str = "chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

/// Talks until stdin ends or the server is done.
pub(super) fn run(connect: &Connect) -> Result<Exit, Failure> {
    super::block_on(talk(connect))
}

async fn talk(connect: &Connect) -> Result<Exit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the program that is running", &error))?;
    let mut port = Port::start(&program, ORIGIN, None)
        .map_err(|error| Failure::because("cannot start a host", &error))?;
    let broken = |error: io::Error| Failure::because("the host has gone", &error).hint("longwire doctor");
    let client = format!("terminal-{}", std::process::id());
    port.send(&json!({"type": "hello", "protocol": 1, "profile": client, "client": client}))
        .await
        .map_err(broken)?;
    port.send(&open_frame(connect)?).await.map_err(broken)?;
    let mut talk = Talk {
        connect,
        port,
        unsettled: 0,
        sent: 0,
        typing: true,
        acked: 0,
    };
    talk.run().await
}

fn open_frame(connect: &Connect) -> Result<Value, Failure> {
    let mut headers = Map::new();
    for header in &connect.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::new(format!("`{header}` is not a header"))
                .hint("write it as --header 'Name: value'")
                .exit(Exit::Usage)
        })?;
        headers.insert(name.trim().to_owned(), Value::from(value.trim()));
    }
    Ok(json!({
        "type": "open", "id": "open", "session": connect.session, "url": connect.url,
        "options": {"headers": headers, "subprotocols": connect.subprotocols, "expire": 1000, "linger": 0},
    }))
}

/// One conversation.
struct Talk<'a> {
    connect: &'a Connect,
    port: Port,
    /// Messages handed over whose outcome has not come.
    unsettled: u32,
    sent: u64,
    typing: bool,
    acked: u64,
}

impl Talk<'_> {
    async fn run(&mut self) -> Result<Exit, Failure> {
        let broken = |error: io::Error| Failure::because("the host has gone", &error).hint("longwire doctor");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            if !self.typing && self.unsettled == 0 {
                let session = &self.connect.session;
                self.port
                    .send(&json!({"type": "close", "session": session, "id": "close"}))
                    .await
                    .map_err(broken)?;
                return self.drain().await;
            }
            tokio::select! {
                line = lines.next_line(), if self.typing => match line {
                    Ok(Some(text)) => self.say(&text).await.map_err(broken)?,
                    Ok(None) => self.typing = false,
                    Err(error) => return Err(Failure::because("cannot read stdin", &error)),
                },
                frame = self.port.next() => match frame.map_err(broken)? {
                    None => return Err(Failure::new("the host has ended by itself").hint("longwire doctor")),
                    Some(frame) => {
                        if let Some(exit) = self.hear(&frame).await? {
                            return Ok(exit);
                        }
                    }
                },
            }
        }
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.sent += 1;
        self.unsettled += 1;
        let id = self.sent.to_string();
        let frame =
            json!({"type": "send", "session": self.connect.session, "id": id, "text": text, "receipt": true});
        self.port.send(&frame).await
    }

    /// Shows one frame; the exit code if it was the last.
    async fn hear(&mut self, frame: &Value) -> Result<Option<Exit>, Failure> {
        if self.connect.frames {
            render::line(&frame.to_string());
        }
        let is_record = matches!(
            frame["type"].as_str(),
            Some("message" | "gap" | "state" | "outcome" | "response")
        );
        if let Some(seq) = frame["seq"].as_u64().filter(|seq| is_record && *seq > self.acked) {
            self.acked = seq;
            let ack = json!({"type": "ack", "session": self.connect.session, "seq": seq});
            self.port
                .send(&ack)
                .await
                .map_err(|error| Failure::because("the host has gone", &error))?;
        }
        match frame["type"].as_str().unwrap_or_default() {
            "message" if !self.connect.frames => render::line(&payload(frame)),
            "gap" => render::note(&format!("lost {} messages ({})", frame["count"], frame["reason"])),
            "state" => return Ok(state(frame)),
            "outcome" => {
                self.unsettled = self.unsettled.saturating_sub(1);
                if frame["outcome"] != "sent" {
                    render::note(&format!("message {} is {}", frame["id"], frame["outcome"]));
                }
            }
            "error" => {
                let message = frame["message"].as_str().unwrap_or("the broker refused");
                let failure = Failure::new(message);
                let code = frame["code"].as_str().unwrap_or_default();
                return Err(if code.starts_with("bad-") {
                    failure.exit(Exit::Usage)
                } else {
                    failure
                });
            }
            "host" if frame["state"] == "failed" => {
                let message = frame["message"].as_str().unwrap_or("no broker");
                return Err(Failure::new(message)
                    .hint("longwire doctor")
                    .exit(Exit::Unreachable));
            }
            _ => {}
        }
        Ok(None)
    }

    /// What still comes after the session was closed.
    async fn drain(&mut self) -> Result<Exit, Failure> {
        while let Ok(Some(frame)) = self.port.next().await {
            if frame["type"] == "ok" || frame["type"] == "error" {
                break;
            }
            if frame["type"] == "message" && !self.connect.frames {
                render::line(&payload(&frame));
            }
        }
        Ok(Exit::Done)
    }
}

fn payload(frame: &Value) -> String {
    match (&frame["text"], &frame["base64"]) {
        (Value::String(text), _) => text.clone(),
        (_, Value::String(bytes)) => format!("base64:{bytes}"),
        _ => frame["json"].to_string(),
    }
}

/// Tells how the link is; the exit code if it will not come back.
fn state(frame: &Value) -> Option<Exit> {
    let state = frame["state"].as_str().unwrap_or_default();
    let why = ["code", "status", "reason"]
        .iter()
        .filter(|key| !frame[**key].is_null())
        .map(|key| format!(" {key} {}", frame[*key]))
        .collect::<String>();
    let error = frame["error"]["message"]
        .as_str()
        .map(|message| format!(": {message}"))
        .unwrap_or_default();
    render::note(&format!("{state}{why}{error}"));
    match state {
        "failed" => Some(Exit::Failed),
        "closed" => Some(Exit::Done),
        _ => None,
    }
}
