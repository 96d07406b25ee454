//! `longwire connect URL`: acts as an extension from a terminal, through a real host and broker.
//!
//! Lines from stdin are sent, messages are printed one a line. It keeps nothing: when it ends, the session is closed.
//! What a typed line means is in `input`.

mod input;
mod json_text;
mod options;
mod output;
mod unsettled;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::admin::Admin;
use super::args::ConnectArgs;
use super::error::{Exit, Failure};
use super::host_process::HostProcess;
use super::text::harmless_json;
use super::{render, secret};
use crate::paths::Paths;
use input::{HELP, History, InputLine};
use options::options;
use output::{MessageFormat, counter_lines, state_line};
use unsettled::UnsettledMessages;

/// Whom the broker takes the terminal for: sessions of no extension.
const ORIGIN: &str = "chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

/// Converses until stdin ends, the server is done, or what was expected has come.
pub(super) fn run(connect: &ConnectArgs) -> Result<Exit, Failure> {
    super::block_on(converse(connect))
}

async fn converse(connect: &ConnectArgs) -> Result<Exit, Failure> {
    let options = options(connect)?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the path of this program", &error))?;
    let url = secret::resolve(&connect.url, "the URL")?;
    let home = match connect.trust.is_asked() {
        true => Some(connect.trust.home(&super::paths()?, &url)?),
        false => None,
    };
    let path = home.as_ref().map(|home| home.path().as_os_str());
    let port = HostProcess::start(&program, &[ORIGIN], path)
        .map_err(|error| Failure::because("cannot start a host", &error))?;
    let mut client = ConnectClient {
        connect,
        url,
        port,
        options,
        unsettled: UnsettledMessages::default(),
        received: 0,
        typing: true,
        is_typed: io::stdin().is_terminal(),
        format: MessageFormat::new(connect, io::stdout().is_terminal()),
        epoch: None,
        acked: 0,
        history: History::default(),
        pinged: None,
        linked: false,
        closing: false,
    };
    let ended = match client.begin().await {
        Ok(()) => client.run().await,
        Err(failure) => Err(failure),
    };
    drop(client);
    if let Some(home) = home {
        // A broker of its own has nothing left to do.
        let _ = Admin::new(Paths::within(home.path().to_path_buf())).stop().await;
    }
    ended
}

fn broken(error: io::Error) -> Failure {
    Failure::because("the host has exited", &error).hint("longwire doctor")
}

fn unreadable(error: &io::Error) -> Failure {
    let failure = Failure::because("cannot read stdin", error);
    if error.kind() == io::ErrorKind::InvalidData {
        failure.hint("bytes are sent as base64: base64 -w0 FILE | longwire connect URL --binary")
    } else {
        failure
    }
}

/// One conversation.
struct ConnectClient<'a> {
    connect: &'a ConnectArgs,
    url: String,
    port: HostProcess,
    options: Value,
    unsettled: UnsettledMessages,
    received: u64,
    typing: bool,
    /// A person types.
    is_typed: bool,
    format: MessageFormat,
    epoch: Option<Value>,
    acked: u64,
    history: History,
    pinged: Option<Instant>,
    /// The server was reached at least once.
    linked: bool,
    closing: bool,
}

impl ConnectClient<'_> {
    /// Says who we are, and opens the session, from where we are if we were here before.
    async fn begin(&mut self) -> Result<(), Failure> {
        let client = format!("terminal-{}", std::process::id());
        self.port.hello(&client, Some(&client)).await.map_err(broken)?;
        let mut open = json!({
            "type": "open", "id": "open", "session": self.connect.session, "url": self.url,
            "options": self.options,
        });
        if let Some(epoch) = &self.epoch {
            open["resume"] = json!({"epoch": epoch, "seq": self.acked});
        }
        self.port.send(&open).await.map_err(broken)
    }

    async fn run(&mut self) -> Result<Exit, Failure> {
        for text in &self.connect.first {
            self.send(if self.connect.binary { "base64" } else { "text" }, text)
                .await?;
        }
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let deadline = tokio::time::sleep(Duration::from_secs(
            self.connect.timeout.unwrap_or(u64::from(u32::MAX)),
        ));
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(deadline, interrupted);
        loop {
            let is_waiting = self.connect.expect.is_some() || self.connect.linger;
            let is_done = !self.typing && self.unsettled.is_empty() && self.linked;
            if is_done && !is_waiting && !self.closing {
                self.close(None).await?;
            }
            tokio::select! {
                line = lines.next_line(), if self.typing && !self.unsettled.is_full() => match line {
                    Ok(Some(text)) => self.handle_input(&text).await?,
                    Ok(None) => self.typing = false,
                    Err(error) => return Err(unreadable(&error)),
                },
                frame = self.port.next() => match frame.map_err(broken)? {
                    None => return Err(Failure::new("the host exited unexpectedly").hint("longwire doctor")),
                    Some(frame) => {
                        if let Some(exit) = self.handle_frame(&frame).await? {
                            return Ok(exit);
                        }
                    }
                },
                () = &mut deadline => return self.time_out().await,
                _ = &mut interrupted => {
                    // A user who interrupts twice does not want to wait for the close.
                    if self.closing {
                        return Ok(Exit::Failed);
                    }
                    interrupted.set(tokio::signal::ctrl_c());
                    self.close(None).await?;
                }
            }
        }
    }

    /// The time is over.
    async fn time_out(&mut self) -> Result<Exit, Failure> {
        self.close(None).await?;
        let seconds = self.connect.timeout.unwrap_or_default();
        match self.connect.expect {
            Some(expected) => Err(Failure::new(format!(
                "received {} of {expected} messages within {seconds} s",
                self.received
            ))),
            None if !self.linked => Err(Failure::new(format!("no connection within {seconds} s"))),
            None if !self.unsettled.is_empty() => Err(Failure::new(format!(
                "{} messages were not sent within {seconds} s",
                self.unsettled.len()
            ))),
            None => Ok(Exit::Done),
        }
    }

    async fn handle_input(&mut self, line: &str) -> Result<(), Failure> {
        if !self.is_typed {
            return self
                .send(if self.connect.binary { "base64" } else { "text" }, line)
                .await;
        }
        match self.history.read(line) {
            InputLine::Nothing => {}
            InputLine::Text(text) => {
                self.send(if self.connect.binary { "base64" } else { "text" }, &text)
                    .await?
            }
            InputLine::Binary(bytes) => self.send("base64", &bytes).await?,
            InputLine::Ping => {
                self.pinged = Some(Instant::now());
                self.port
                    .send(&json!({"type": "ping", "id": "ping"}))
                    .await
                    .map_err(broken)?;
                self.port
                    .send(&json!({"type": "status", "id": "ping"}))
                    .await
                    .map_err(broken)?;
            }
            InputLine::Status => {
                self.port
                    .send(&json!({"type": "status", "id": "status"}))
                    .await
                    .map_err(broken)?;
            }
            InputLine::Reconnect => {
                let frame = json!({"type": "reconnect", "session": self.connect.session});
                self.port.send(&frame).await.map_err(broken)?;
            }
            InputLine::Close(how) => self.close(how).await?,
            InputLine::Help => render::note(HELP),
            InputLine::History(lines) => render::note(&lines),
            InputLine::Wrong(why) => render::note(&why),
        }
        Ok(())
    }

    async fn send(&mut self, form: &str, text: &str) -> Result<(), Failure> {
        let id = self.unsettled.add(text.len()).to_string();
        let frame =
            json!({"type": "send", "session": self.connect.session, "id": id, form: text, "receipt": true});
        self.port.send(&frame).await.map_err(broken)
    }

    async fn close(&mut self, how: Option<(u16, String)>) -> Result<(), Failure> {
        self.closing = true;
        self.typing = false;
        let mut frame = json!({"type": "close", "session": self.connect.session, "id": "close"});
        if let Some((code, reason)) = how {
            frame["code"] = code.into();
            frame["reason"] = reason.into();
        }
        self.port.send(&frame).await.map_err(broken)
    }

    /// Shows one frame; the exit code if it was the last.
    async fn handle_frame(&mut self, frame: &Value) -> Result<Option<Exit>, Failure> {
        if self.connect.frames {
            render::line(&harmless_json(&frame.to_string()));
        }
        let kind = frame["type"].as_str().unwrap_or_default();
        let is_record = matches!(kind, "message" | "gap" | "state" | "outcome" | "response");
        if let Some(seq) = frame["seq"].as_u64().filter(|seq| is_record && *seq > self.acked) {
            self.acked = seq;
            let ack = json!({"type": "ack", "session": self.connect.session, "seq": seq});
            self.port.send(&ack).await.map_err(broken)?;
        }
        match kind {
            "message" => return self.message(frame).await,
            "gap" => render::note(&format!("lost {} messages ({})", frame["count"], frame["reason"])),
            "state" if !self.closing => return Ok(self.state(frame)),
            "outcome" => {
                let id = frame["id"].as_str().unwrap_or_default();
                if let Ok(id) = id.parse() {
                    self.unsettled.settle(id);
                }
                // Whoever ends with what was expected does not wait for receipts.
                let is_met = self.connect.expect == Some(self.received);
                if frame["outcome"] != "sent" && !(self.closing && is_met) {
                    let outcome = frame["outcome"].as_str().unwrap_or_default();
                    render::note(&format!("message {id} is {outcome}"));
                }
            }
            "opened" => self.opened(frame),
            "ok" if frame["id"] == "close" => return Ok(Some(self.exit_code())),
            "pong" => {
                if let Some(since) = self.pinged.take() {
                    render::note(&format!("broker: {} us", since.elapsed().as_micros()));
                }
            }
            "status" => {
                for line in counter_lines(frame, &self.connect.session) {
                    render::note(&line);
                }
            }
            "error" => return self.error(frame),
            "host" => match frame["state"].as_str().unwrap_or_default() {
                "failed" => {
                    let message = frame["message"].as_str().unwrap_or("no broker");
                    return Err(Failure::new(message)
                        .hint("longwire doctor")
                        .exit(Exit::Unreachable));
                }
                "back" if self.closing => return Ok(Some(self.exit_code())),
                "back" => self.begin().await?,
                "lost" => render::note("the broker has exited; reconnecting"),
                _ => {}
            },
            _ => {}
        }
        Ok(None)
    }

    async fn message(&mut self, frame: &Value) -> Result<Option<Exit>, Failure> {
        if self
            .connect
            .expect
            .is_some_and(|expected| self.received >= expected)
        {
            return Ok(None);
        }
        self.received += 1;
        if !self.connect.frames && !render::text_line(&self.format.text(frame)) {
            return Ok(Some(Exit::Done));
        }
        if self.connect.expect == Some(self.received) && !self.closing {
            self.close(None).await?;
        }
        Ok(None)
    }

    fn opened(&mut self, frame: &Value) {
        let is_new = self.epoch.as_ref() != Some(&frame["epoch"]);
        if self.epoch.is_some() && is_new {
            render::note("the session was lost with the broker, and starts anew");
            self.acked = 0;
            for id in self.unsettled.take() {
                render::note(&format!("message {id} is unknown"));
            }
        }
        self.epoch = Some(frame["epoch"].clone());
        for option in frame["ignored"].as_array().into_iter().flatten() {
            render::note(&format!("the broker does not support the option {option}"));
        }
    }

    /// An error about the session ends the conversation, one about a message does not.
    fn error(&mut self, frame: &Value) -> Result<Option<Exit>, Failure> {
        if self.closing && frame["id"] == "close" {
            return Ok(Some(self.exit_code()));
        }
        let message = frame["message"].as_str().unwrap_or("the broker refused");
        let code = frame["code"].as_str().unwrap_or_default();
        let id = frame["id"].as_str().and_then(|id| id.parse::<u64>().ok());
        if let Some(id) = id.filter(|_| self.is_typed) {
            self.unsettled.settle(id);
            render::note(&format!("message {id} was refused: {message}"));
            return Ok(None);
        }
        let failure = Failure::new(message);
        Err(if code.starts_with("bad-") {
            failure.exit(Exit::Usage)
        } else {
            failure
        })
    }

    /// How it ends when we end it.
    fn exit_code(&self) -> Exit {
        match self.connect.expect {
            Some(expected) if self.received < expected => Exit::Failed,
            _ => Exit::Done,
        }
    }

    /// Tells how the link is; the exit code if it will not come back.
    fn state(&mut self, frame: &Value) -> Option<Exit> {
        let state = frame["state"].as_str().unwrap_or_default();
        self.linked |= state == "open";
        render::note(&state_line(frame));
        let is_short = self
            .connect
            .expect
            .is_some_and(|expected| self.received < expected);
        // No answer to the close, or none at all.
        let is_lost = !self.linked || !frame["error"].is_null();
        match state {
            "failed" => Some(Exit::Failed),
            "closed" if is_short || is_lost || !self.unsettled.is_empty() => Some(Exit::Failed),
            "closed" => Some(Exit::Done),
            _ => None,
        }
    }
}
