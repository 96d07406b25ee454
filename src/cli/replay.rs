//! `longwire replay FILE`: sends recorded frames again, through a real host and broker, and prints the answers.
//!
//! It acknowledges and answers nothing of its own.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::admin::Admin;
use super::args::ReplayArgs;
use super::error::{Exit, Failure};
use super::host_process::HostProcess;
use super::render;
use super::text::harmless_json;
use crate::host::HostCaller;

/// Longest pause between two frames; longer ones were the user's.
const MAX_PAUSE_MS: u64 = 2000;

/// How long nothing may come after the last frame until it is taken for the end.
const QUIET_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the first answer may take: a broker may have to be started.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Replays it.
pub(super) fn run(replay: &ReplayArgs) -> Result<Exit, Failure> {
    let name = replay.file.display();
    let text = std::fs::read_to_string(&replay.file)
        .map_err(|error| Failure::because(format!("cannot read {name}"), &error))?;
    let first = text.lines().next().unwrap_or_default();
    let head = serde_json::from_str::<Value>(first).unwrap_or_default();
    if head["longwire"] != "record" {
        return Err(
            Failure::new(format!("{name} is not a recording of a port")).hint("longwire record --help")
        );
    }
    let lines = parse(&text).map_err(|damage| {
        Failure::new(format!("{name} is damaged: {damage}")).hint("longwire record --help")
    })?;
    let caller = caller(&head)
        .ok_or_else(|| Failure::new(format!("{name} does not contain the port's origin")))?
        .origin()
        .to_owned();
    let mut frames: Vec<Value> = lines
        .into_iter()
        .filter(|line| line["from"] == "extension")
        .collect();
    if let Some(url) = &replay.url {
        frames
            .iter_mut()
            .for_each(|line| lead_to(&mut line["frame"], url));
    }
    super::block_on(async {
        if !replay.yes {
            confirm(&caller).await?;
        }
        send(&caller, frames, replay.fast).await
    })
}

/// The lines of a record, or where and how it is damaged.
fn parse(text: &str) -> Result<Vec<Value>, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let damaged = |column: usize, why: &str| format!("line {}, column {column}: {why}", index + 1);
        let value: Value = serde_json::from_str(line).map_err(|error| {
            let why = error.to_string();
            // The line within the text is always the first.
            let why = why.split(" at line ").next().unwrap_or_default();
            damaged(error.column().max(1), why)
        })?;
        let is_event = value["from"].is_string() && value["frame"].is_object();
        if index > 0 && !is_event {
            return Err(damaged(1, "not a frame of a port"));
        }
        lines.push(value);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(format!("line {}: its end is missing", lines.len()));
    }
    Ok(lines)
}

/// Asks before it acts as an extension that may have sessions in this broker, which cannot distinguish the two.
async fn confirm(origin: &str) -> Result<(), Failure> {
    let paths = super::paths()?;
    let is_separate = paths.home().is_some();
    let is_running = Admin::new(paths).status().await?.is_some();
    if is_separate && !is_running {
        return Ok(());
    }
    let where_to = if is_running {
        "the running broker"
    } else {
        "your own broker"
    };
    let warning = format!(
        "this sends the recorded frames to {where_to} as {origin}, and changes and closes that extension's sessions"
    );
    if io::stdin().is_terminal() {
        render::note(&warning);
        if render::ask("Continue? [y/N] ") {
            return Ok(());
        }
        return Err(Failure::new("nothing was sent").exit(Exit::Failed));
    }
    Err(Failure::new(warning)
        .hint("use a separate home: LONGWIRE_HOME=$(mktemp -d) longwire replay FILE")
        .hint("or confirm with --yes")
        .exit(Exit::Usage))
}

/// Whom the recorded host served.
fn caller(head: &Value) -> Option<HostCaller> {
    let arguments = head["arguments"].as_array()?;
    let arguments = arguments
        .iter()
        .filter_map(|one| one.as_str().map(OsString::from));
    let all: Vec<OsString> = std::iter::once("longwire".into()).chain(arguments).collect();
    HostCaller::from_args(&all)?.ok()
}

/// Has every `open` lead to this server.
fn lead_to(frame: &mut Value, url: &str) {
    if frame["type"] == "open" && frame.get("url").is_some() {
        frame["url"] = url.into();
    }
    for frame in frame["frames"].as_array_mut().into_iter().flatten() {
        lead_to(frame, url);
    }
}

async fn send(origin: &str, frames: Vec<Value>, fast: bool) -> Result<Exit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the path of this program", &error))?;
    let broken = |error| Failure::because("the host has exited", &error).hint("longwire doctor");
    // Firefox names a manifest before the add-on.
    let caller = if origin.starts_with("chrome-extension://") {
        vec![origin]
    } else {
        vec!["manifest.json", origin]
    };
    let mut port = HostProcess::start(&program, &caller, None)
        .map_err(|error| Failure::because("cannot start a host", &error))?;
    let mut due = Instant::now();
    let mut before = 0;
    let mut frames = frames.into_iter();
    let mut next = frames.next();
    let mut is_answered = false;
    loop {
        if let Some(line) = &next {
            let at = line["at"].as_u64().unwrap_or(0);
            if !fast {
                due += Duration::from_millis(at.saturating_sub(before).min(MAX_PAUSE_MS));
            }
            before = at;
        } else {
            due = Instant::now()
                + if is_answered {
                    QUIET_TIMEOUT
                } else {
                    FIRST_ANSWER_TIMEOUT
                };
        }
        loop {
            tokio::select! {
                frame = port.next() => match frame.map_err(broken)? {
                    Some(frame) => {
                        if !render::text_line(&harmless_json(&frame.to_string())) {
                            return Ok(Exit::Done);
                        }
                        is_answered |= frame["type"] != "host";
                        if next.is_none() && is_answered {
                            due = Instant::now() + QUIET_TIMEOUT;
                        }
                    }
                    None => return Err(Failure::new("the host exited unexpectedly").hint("longwire doctor")),
                },
                () = sleep_until(due) => break,
            }
        }
        let Some(line) = next else { return Ok(Exit::Done) };
        port.send(&line["frame"]).await.map_err(broken)?;
        next = frames.next();
    }
}
