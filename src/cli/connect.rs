//! `longwire connect URL`: be an extension from a terminal, through a real host and broker.
//!
//! Lines from stdin are sent, messages are printed one a line. It keeps nothing: when it ends, the session is closed.
//! What a typed line means is in `connect_input`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::admin::Admin;
use super::args::ConnectArgs;
use super::connect_input::{HELP, History, InputLine, indented, is_json};
use super::error::{Exit, Failure};
use super::host_process::HostProcess;
use super::text::{harmless, harmless_json};
use super::{render, secret};
use crate::paths::Paths;

/// Whom the broker takes the terminal for: sessions of no extension.
const ORIGIN: &str = "chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

/// Messages on their way above which no more of stdin is read.
const MAX_UNSETTLED: usize = 256;

/// Bytes of theirs above which none is read either: half of what the outbox holds, so that a long line fits behind them.
const MAX_UNSETTLED_BYTES: usize = 4 << 20;

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
        unsettled: BTreeMap::new(),
        sent: 0,
        received: 0,
        typing: true,
        is_typed: io::stdin().is_terminal(),
        is_shown: io::stdout().is_terminal(),
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

/// The options of `open`: the user's own, and what the flags say.
fn options(connect: &ConnectArgs) -> Result<Value, Failure> {
    let wrong = |what: String, hint: &str| Failure::new(what).hint(hint).exit(Exit::Usage);
    let headers: Map<String, Value> = secret::headers(&connect.headers)?
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let mut options = Map::from_iter([
        ("expire".to_owned(), json!(1000)),
        ("linger".to_owned(), json!(0)),
    ]);
    if !headers.is_empty() {
        options.insert("headers".to_owned(), Value::Object(headers));
    }
    if !connect.subprotocols.is_empty() {
        options.insert("subprotocols".to_owned(), json!(connect.subprotocols));
    }
    if let Some(cookies) = &connect.cookies {
        let cookies = secret::resolve(cookies, "cookies")?;
        options.insert("cookies".to_owned(), cookies.into());
    }
    if connect.once {
        options.insert("reconnect".to_owned(), false.into());
    }
    if let Some(more) = &connect.options {
        let more: Map<String, Value> = serde_json::from_str(more).map_err(|error| {
            wrong(
                format!("--options is not a JSON object: {error}"),
                "write it as --options '{\"heartbeat\":false}'",
            )
        })?;
        options.extend(more);
    }
    Ok(Value::Object(options))
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
    /// Messages handed over whose outcome has not come, and their bytes.
    unsettled: BTreeMap<u64, usize>,
    sent: u64,
    received: u64,
    typing: bool,
    /// A person types.
    is_typed: bool,
    /// A person reads.
    is_shown: bool,
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
                line = lines.next_line(), if self.typing && !self.has_enough_unsettled() => match line {
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
                    // Whoever asks twice does not want to wait for the goodbye.
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

    /// Has enough been handed over until outcomes come?
    fn has_enough_unsettled(&self) -> bool {
        self.unsettled.len() >= MAX_UNSETTLED || self.unsettled.values().sum::<usize>() >= MAX_UNSETTLED_BYTES
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
        self.sent += 1;
        self.unsettled.insert(self.sent, text.len());
        let id = self.sent.to_string();
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
                self.unsettled.retain(|open, _| open.to_string() != id);
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
            "status" => self.counters(frame),
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
        if !self.connect.frames && !render::text_line(&self.shown(frame)) {
            return Ok(Some(Exit::Done));
        }
        if self.connect.expect == Some(self.received) && !self.closing {
            self.close(None).await?;
        }
        Ok(None)
    }

    /// A message as it is printed.
    fn shown(&self, frame: &Value) -> String {
        let text = match (&frame["text"], &frame["base64"]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::String(bytes)) if self.connect.binary => bytes.clone(),
            (_, Value::String(bytes)) => format!("base64:{bytes}"),
            _ => frame["json"].to_string(),
        };
        let is_pretty = self.connect.json || (self.is_shown && !self.connect.raw);
        if let Some(indented) = indented(&text).filter(|_| is_pretty) {
            harmless_json(&indented)
        } else if is_json(&text) {
            harmless_json(&text)
        } else {
            let lines: Vec<String> = text.split('\n').map(harmless).collect();
            lines.join("\n")
        }
    }

    fn opened(&mut self, frame: &Value) {
        let is_new = self.epoch.as_ref() != Some(&frame["epoch"]);
        if self.epoch.is_some() && is_new {
            render::note("the session was lost with the broker, and starts anew");
            self.acked = 0;
            for id in std::mem::take(&mut self.unsettled).into_keys() {
                render::note(&format!("message {id} is unknown"));
            }
        }
        self.epoch = Some(frame["epoch"].clone());
        for option in frame["ignored"].as_array().into_iter().flatten() {
            render::note(&format!("the broker does not know the option {option}"));
        }
    }

    fn counters(&self, frame: &Value) {
        let sessions = frame["sessions"].as_array().into_iter().flatten();
        let mut mine = sessions.filter(|session| session["session"] == self.connect.session.as_str());
        let Some(session) = mine.next() else { return };
        let trip = session["rtt"]["p50"].as_u64();
        if frame["id"] == "ping" {
            let trip = trip.map_or_else(|| "not measured yet".to_owned(), |trip| format!("{trip} us"));
            return render::note(&format!("server: {trip}"));
        }
        for key in [
            "state",
            "received",
            "sent",
            "queued",
            "outbox",
            "reconnects",
            "rtt",
        ] {
            if !session[key].is_null() {
                render::note(&format!("{key}: {}", session[key]));
            }
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
            self.unsettled.remove(&id);
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
        let why = ["code", "status", "reason", "subprotocol"]
            .iter()
            .filter(|key| !frame[**key].is_null())
            .map(|key| format!(" {key} {}", frame[*key]))
            .collect::<String>();
        let error = frame["error"]["message"]
            .as_str()
            .map(|message| format!(": {message}"))
            .unwrap_or_default();
        render::note(&harmless(&format!("{state}{why}{error}")));
        let is_short = self
            .connect
            .expect
            .is_some_and(|expected| self.received < expected);
        // No goodbye, or no answer at all.
        let is_lost = !self.linked || !frame["error"].is_null();
        match state {
            "failed" => Some(Exit::Failed),
            "closed" if is_short || is_lost || !self.unsettled.is_empty() => Some(Exit::Failed),
            "closed" => Some(Exit::Done),
            _ => None,
        }
    }
}
