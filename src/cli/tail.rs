//! `longwire tail SESSION`: shows a session's records as they arrive.
//!
//! It holds no session and acknowledges nothing. Payloads are hidden unless requested.

use chrono::{Local, TimeZone};
use serde_json::{Map, Value, json};

use super::admin::{ANSWER_TIMEOUT, Admin, next, unanswered};
use super::args::TailArgs;
use super::error::{Exit, Failure};
use super::render;
use super::sessions::refused;
use super::status::not_running;
use super::text::{harmless, harmless_json};
use crate::clock::ClockReading;

/// The fields with payloads.
const PAYLOADS: [&str; 4] = ["text", "json", "base64", "args"];

/// Shows records until the session ends, the broker exits, the output is closed, or the user interrupts.
pub(super) fn run(tail: &TailArgs) -> Result<Exit, Failure> {
    super::block_on(follow(tail))
}

async fn follow(tail: &TailArgs) -> Result<Exit, Failure> {
    let mut request = tail.owner.request("watch", &tail.session);
    request["last"] = tail.lines.into();
    request["both"] = tail.both.into();
    let admin = Admin::new(super::paths()?);
    let mut client = admin.watch(&request).await?.ok_or_else(not_running)?;
    let mut is_answered = false;
    let interrupted = tokio::signal::ctrl_c();
    let late = tokio::time::sleep(ANSWER_TIMEOUT);
    let abandoned = abandoned();
    tokio::pin!(interrupted, late, abandoned);
    loop {
        let frame = tokio::select! {
            frame = next(&mut client) => frame,
            () = &mut abandoned => return Ok(Exit::Done),
            () = &mut late, if !is_answered => return Err(unanswered()),
            _ = &mut interrupted => return Ok(Exit::Done),
        };
        let frame = frame
            .map_err(|error| {
                Failure::because("cannot communicate with the broker", &error).exit(Exit::Unreachable)
            })?
            .ok_or_else(stopped)?;
        is_answered = true;
        if let Some(exit) = show(frame, tail)? {
            return Ok(exit);
        }
    }
}

fn stopped() -> Failure {
    Failure::new("broker stopped")
        .hint("longwire status")
        .exit(Exit::Unreachable)
}

/// Shows one frame; the exit code if it was the last.
fn show(frame: Value, tail: &TailArgs) -> Result<Option<Exit>, Failure> {
    match frame["type"].as_str().unwrap_or_default() {
        "ok" => {}
        "error" => return Err(refused(&frame)),
        "detached" => {
            render::note("the session has ended");
            return Ok(Some(Exit::Done));
        }
        "goaway" => return Err(stopped()),
        "missed" => render::note(&format!(
            "{} records not shown: this terminal reads too slowly",
            frame["count"]
        )),
        _ => {
            if !render::text_line(&line(frame, tail)) {
                return Ok(Some(Exit::Done));
            }
        }
    }
    Ok(None)
}

/// Waits until stdout is closed.
async fn abandoned() {
    while !render::is_abandoned() {
        tokio::time::sleep(render::STDOUT_CHECK_INTERVAL).await;
    }
}

fn line(mut frame: Value, tail: &TailArgs) -> String {
    if tail.json {
        if !tail.payloads {
            hide(&mut frame);
        }
        return harmless_json(&frame.to_string());
    }
    let payloads = if tail.payloads {
        Payloads::Content
    } else {
        Payloads::Size
    };
    picture(&frame, payloads)
}

/// Replaces payloads by their size.
fn hide(frame: &mut Value) {
    let Some(fields) = frame.as_object_mut() else {
        return;
    };
    let hidden: Map<String, Value> = PAYLOADS
        .iter()
        .filter_map(|key| {
            Some((
                (*key).to_owned(),
                json!({"bytes": size(key, &fields.remove(*key)?)}),
            ))
        })
        .collect();
    fields.extend(hidden);
}

/// What is shown of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payloads {
    Size,
    Content,
}

/// One record as a line for people.
fn picture(frame: &Value, payloads: Payloads) -> String {
    let millis = frame["time"].as_u64().unwrap_or_else(|| ClockReading::now().wall);
    let kind = frame["type"].as_str().unwrap_or("?");
    let seq = frame["seq"]
        .as_u64()
        .map_or_else(String::new, |seq| seq.to_string());
    let mut text = format!("{} {seq:>6} {:<8}", time_of_day(millis, &Local), harmless(kind));
    match kind {
        "gap" => {
            text.push_str(&format!(
                " lost {} ({}..{})",
                frame["count"], frame["from"], frame["to"]
            ));
            fields(&mut text, frame, &["reason"]);
        }
        "state" => {
            text.push_str(&format!(" {}", frame["state"].as_str().unwrap_or("?")));
            let keys = ["attempt", "retryIn", "code", "status", "continuity", "reason"];
            fields(&mut text, frame, &keys);
        }
        "outcome" => {
            text.push_str(&format!(" {}", frame["outcome"].as_str().unwrap_or("?")));
            fields(&mut text, frame, &["id"]);
        }
        _ => fields(&mut text, frame, &["id", "event", "namespace"]),
    }
    if let Some(error) = frame["error"]["code"].as_str() {
        let message = frame["error"]["message"].as_str().unwrap_or_default();
        text.push_str(&format!(" error {error}: {}", harmless(message)));
    }
    for key in PAYLOADS {
        match frame.get(key) {
            Some(value) if payloads == Payloads::Content => {
                let content = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.push_str(&format!(" {key} {}", harmless(&content)));
            }
            Some(value) => text.push_str(&format!(" {key} of {} bytes", size(key, value))),
            None => {}
        }
    }
    text
}

/// Appends those of these fields that are there.
fn fields(text: &mut String, frame: &Value, keys: &[&str]) {
    for key in keys {
        if let Some(value) = frame.get(key).filter(|value| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!(" {key} {}", harmless(&value)));
        }
    }
}

/// Bytes of a payload.
fn size(key: &str, value: &Value) -> usize {
    match value {
        Value::String(text) if key == "base64" => {
            text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
        }
        Value::String(text) if key == "text" => text.len(),
        other => other.to_string().len(),
    }
}

/// The time of day in this zone.
fn time_of_day<Tz>(millis: u64, zone: &Tz) -> String
where
    Tz: TimeZone,
    Tz::Offset: std::fmt::Display,
{
    let at = i64::try_from(millis).ok();
    let at = at.and_then(|millis| zone.timestamp_millis_opt(millis).single());
    at.map_or_else(|| "?".to_owned(), |at| at.format("%H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_hidden_unless_requested() {
        let frame =
            json!({"type": "message", "session": "s", "seq": 7, "text": "sécret", "time": 86_399_999});
        let shown = |payloads| picture(&frame, payloads)[12..].to_owned();
        assert_eq!(shown(Payloads::Size), "      7 message  text of 7 bytes");
        assert_eq!(shown(Payloads::Content), "      7 message  text sécret");
        let mut hidden = frame.clone();
        hide(&mut hidden);
        assert_eq!(hidden["text"], json!({"bytes": 7}));
        let mut binary = json!({"type": "message", "seq": 8, "base64": "AAECAw=="});
        hide(&mut binary);
        assert_eq!(binary["base64"], json!({"bytes": 4}));
    }

    #[test]
    fn times_are_shown_in_the_given_time_zone() {
        let kolkata = chrono::FixedOffset::east_opt(19_800).unwrap();
        assert_eq!(time_of_day(86_399_999, &kolkata), "05:29:59.999");
        assert_eq!(time_of_day(86_399_999, &chrono::Utc), "23:59:59.999");
        assert_eq!(time_of_day(u64::MAX, &chrono::Utc), "?");
    }

    #[test]
    fn gaps_and_errors_are_shown() {
        let gap = json!({"type": "gap", "seq": 9, "from": 5, "to": 9, "count": 5, "reason": "overflow"});
        assert!(picture(&gap, Payloads::Size).ends_with("gap      lost 5 (5..9) reason overflow"));
        let error = json!({"code": "refused", "message": "nobody\u{1b} listens"});
        let state = json!({"type": "state", "seq": 1, "state": "waiting", "retryIn": 200, "error": error});
        let shown = picture(&state, Payloads::Size);
        assert!(
            shown.ends_with("state    waiting retryIn 200 error refused: nobody\\u{1b} listens"),
            "{shown}"
        );
    }
}
