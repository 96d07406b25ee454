//! `longwire replay FILE`: says again what an extension said, through a real host and broker, and prints the answers.
//!
//! It acknowledges and answers nothing of its own.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::args::Replay;
use super::error::{Exit, Failure};
use super::port::Port;
use super::render;
use crate::host::Caller;

/// Longest pause between two frames; longer ones were somebody thinking.
const PAUSE: u64 = 2000;

/// How long nothing may come after the last frame until it is taken for the end.
const QUIET: Duration = Duration::from_secs(3);

/// How long the first answer may take: a broker may have to be started.
const FIRST: Duration = Duration::from_secs(20);

/// Says it again.
pub(super) fn run(replay: &Replay) -> Result<Exit, Failure> {
    let name = replay.file.display();
    let text = std::fs::read_to_string(&replay.file)
        .map_err(|error| Failure::because(format!("cannot read {name}"), &error))?;
    let mut lines = text.lines().map(serde_json::from_str::<Value>);
    let head = match lines.next() {
        Some(Ok(head)) if head["longwire"] == "record" => head,
        _ => {
            return Err(Failure::new(format!("{name} is no record of a port")).hint("longwire record --help"));
        }
    };
    let caller = caller(&head)
        .ok_or_else(|| Failure::new(format!("{name} does not say whose port it was")))?
        .origin()
        .to_owned();
    let mut said: Vec<Value> = lines
        .map_while(Result::ok)
        .filter(|line| line["from"] == "extension")
        .collect();
    if let Some(url) = &replay.url {
        said.iter_mut().for_each(|line| lead_to(&mut line["frame"], url));
    }
    super::block_on(say(&caller, said, replay.fast))
}

/// Whom the recorded host served.
fn caller(head: &Value) -> Option<Caller> {
    let arguments = head["arguments"].as_array()?;
    let arguments = arguments
        .iter()
        .filter_map(|one| one.as_str().map(OsString::from));
    let all: Vec<OsString> = std::iter::once("longwire".into()).chain(arguments).collect();
    Caller::from_args(&all)?.ok()
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

async fn say(origin: &str, said: Vec<Value>, fast: bool) -> Result<Exit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the program that is running", &error))?;
    let broken = |error| Failure::because("the host has gone", &error).hint("longwire doctor");
    // Firefox names a manifest before the add-on.
    let caller = if origin.starts_with("chrome-extension://") {
        vec![origin]
    } else {
        vec!["manifest.json", origin]
    };
    let mut port = Port::start(&program, &caller, None)
        .map_err(|error| Failure::because("cannot start a host", &error))?;
    let mut due = Instant::now();
    let mut before = 0;
    let mut said = said.into_iter();
    let mut next = said.next();
    let mut is_answered = false;
    loop {
        if let Some(line) = &next {
            let at = line["at"].as_u64().unwrap_or(0);
            if !fast {
                due += Duration::from_millis(at.saturating_sub(before).min(PAUSE));
            }
            before = at;
        } else {
            due = Instant::now() + if is_answered { QUIET } else { FIRST };
        }
        loop {
            tokio::select! {
                frame = port.next() => match frame.map_err(broken)? {
                    Some(frame) => {
                        if !render::give(format!("{frame}\n").as_bytes()) {
                            return Ok(Exit::Done);
                        }
                        is_answered |= frame["type"] != "host";
                        if next.is_none() && is_answered {
                            due = Instant::now() + QUIET;
                        }
                    }
                    None => return Err(Failure::new("the host has ended by itself").hint("longwire doctor")),
                },
                () = sleep_until(due) => break,
            }
        }
        let Some(line) = next else { return Ok(Exit::Done) };
        port.send(&line["frame"]).await.map_err(broken)?;
        next = said.next();
    }
}
