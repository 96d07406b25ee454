//! `longwire tail SESSION`: what a session records, as it comes.
//!
//! It holds no session and acknowledges nothing. What messages say stays hidden unless it is asked for.

use serde_json::{Map, Value, json};

use super::admin::{ANSWER_WITHIN, Admin, unanswered};
use super::args::Tail;
use super::error::{Exit, Failure};
use super::render;
use crate::clock::Reading;

/// The fields that hold what was said.
const PAYLOADS: [&str; 4] = ["text", "json", "base64", "args"];

/// Shows records until the session ends, the broker leaves, nobody reads any more, or somebody interrupts.
pub(super) fn run(tail: &Tail) -> Result<Exit, Failure> {
    super::block_on(follow(tail))
}

async fn follow(tail: &Tail) -> Result<Exit, Failure> {
    let mut request = json!({"type": "watch", "id": "1", "session": tail.session, "last": tail.lines});
    for (key, value) in [("origin", &tail.origin), ("profile", &tail.profile)] {
        if let Some(value) = value {
            request[key] = value.as_str().into();
        }
    }
    let admin = Admin::new(super::paths()?);
    let Some(mut wire) = admin.watch(&request).await? else {
        return Err(Failure::new("no broker runs")
            .hint("longwire status")
            .exit(Exit::Unreachable));
    };
    let mut newest = None;
    let mut is_answered = false;
    let interrupted = tokio::signal::ctrl_c();
    let late = tokio::time::sleep(ANSWER_WITHIN);
    let abandoned = abandoned();
    tokio::pin!(interrupted, late, abandoned);
    loop {
        let frame = tokio::select! {
            frame = wire.next() => frame,
            () = &mut abandoned => return Ok(Exit::Done),
            () = &mut late, if !is_answered => return Err(unanswered()),
            _ = &mut interrupted => return Ok(Exit::Done),
        };
        let gone = || {
            Failure::new("the broker has left")
                .hint("longwire status")
                .exit(Exit::Unreachable)
        };
        let frame = frame
            .map_err(|error| Failure::because("cannot talk to the broker", &error).exit(Exit::Unreachable))?
            .ok_or_else(gone)?;
        is_answered = true;
        match frame["type"].as_str().unwrap_or_default() {
            "ok" => {}
            "error" => {
                let message = frame["message"].as_str().unwrap_or("the broker refused");
                return Err(Failure::new(message).hint("longwire status"));
            }
            "detached" => {
                render::note("the session has ended");
                return Ok(Exit::Done);
            }
            "goaway" => return Err(gone()),
            _ => {
                if let Some(missed) = missed(&mut newest, &frame) {
                    render::note(&format!("{missed} records came too fast to be shown"));
                }
                if !render::give((line(frame, tail) + "\n").as_bytes()) {
                    return Ok(Exit::Done);
                }
            }
        }
    }
}

/// Waits until nobody reads stdout any more.
async fn abandoned() {
    while !render::is_abandoned() {
        tokio::time::sleep(render::GLANCE).await;
    }
}

/// How many records are missing between the last one and this.
fn missed(newest: &mut Option<u64>, frame: &Value) -> Option<u64> {
    let seq = frame["seq"].as_u64()?;
    // A gap stands for all from its beginning.
    let first = frame["from"].as_u64().unwrap_or(seq);
    let missed = newest.map_or(0, |newest| first.saturating_sub(newest + 1));
    *newest = Some(newest.map_or(seq, |newest| newest.max(seq)));
    (missed > 0).then_some(missed)
}

fn line(mut frame: Value, tail: &Tail) -> String {
    if tail.json {
        if !tail.payloads {
            hide(&mut frame);
        }
        return frame.to_string();
    }
    picture(&frame, tail.payloads)
}

/// Puts the size in the place of what was said.
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

/// One record as a line for people.
fn picture(frame: &Value, payloads: bool) -> String {
    let millis = frame["time"].as_u64().unwrap_or_else(|| Reading::now().wall);
    let kind = frame["type"].as_str().unwrap_or("?");
    let mut text = format!(
        "{} {:>6} {kind:<8}",
        clock(millis),
        frame["seq"].as_u64().unwrap_or(0)
    );
    let word = |text: &mut String, key: &str| {
        if let Some(value) = frame.get(key).filter(|value| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!(" {key} {}", render::harmless(&value)));
        }
    };
    match kind {
        "gap" => {
            text.push_str(&format!(
                " lost {} ({}..{})",
                frame["count"], frame["from"], frame["to"]
            ));
            word(&mut text, "reason");
        }
        "state" => {
            text.push_str(&format!(" {}", frame["state"].as_str().unwrap_or("?")));
            for key in ["attempt", "retryIn", "code", "status", "continuity", "reason"] {
                word(&mut text, key);
            }
        }
        "outcome" => {
            text.push_str(&format!(" {}", frame["outcome"].as_str().unwrap_or("?")));
            word(&mut text, "id");
        }
        _ => {
            for key in ["id", "event", "namespace"] {
                word(&mut text, key);
            }
        }
    }
    if let Some(error) = frame["error"]["code"].as_str() {
        let message = frame["error"]["message"].as_str().unwrap_or_default();
        text.push_str(&format!(" error {error}: {}", render::harmless(message)));
    }
    for key in PAYLOADS {
        if let Some(value) = frame.get(key) {
            if payloads {
                let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.push_str(&format!(" {key} {}", render::harmless(&said)));
            } else {
                text.push_str(&format!(" {key} of {} bytes", size(key, value)));
            }
        }
    }
    text
}

/// Bytes of what was said.
fn size(key: &str, value: &Value) -> usize {
    match value {
        Value::String(text) if key == "base64" => {
            text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
        }
        Value::String(text) if key == "text" => text.len(),
        other => other.to_string().len(),
    }
}

/// The time of day in UTC.
fn clock(millis: u64) -> String {
    let seconds = millis / 1000 % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}Z",
        seconds % 60,
        millis % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_say_is_hidden_unless_asked_for() {
        let frame =
            json!({"type": "message", "session": "s", "seq": 7, "text": "sécret", "time": 86_399_999});
        assert_eq!(
            picture(&frame, false),
            "23:59:59.999Z      7 message  text of 7 bytes"
        );
        assert_eq!(picture(&frame, true), "23:59:59.999Z      7 message  text sécret");
        let mut hidden = frame;
        hide(&mut hidden);
        assert_eq!(hidden["text"], json!({"bytes": 7}));
        let mut binary = json!({"type": "message", "seq": 8, "base64": "AAECAw=="});
        hide(&mut binary);
        assert_eq!(binary["base64"], json!({"bytes": 4}));
    }

    #[test]
    fn losses_and_ends_are_told() {
        let gap = json!({"type": "gap", "seq": 9, "from": 5, "to": 9, "count": 5, "reason": "overflow"});
        assert!(picture(&gap, false).ends_with("gap      lost 5 (5..9) reason overflow"));
        let error = json!({"code": "refused", "message": "nobody\u{1b} listens"});
        let state = json!({"type": "state", "seq": 1, "state": "waiting", "retryIn": 200, "error": error});
        let told = picture(&state, false);
        assert!(
            told.ends_with("state    waiting retryIn 200 error refused: nobody\\u{1b} listens"),
            "{told}"
        );
    }

    #[test]
    fn what_was_not_shown_is_counted() {
        let mut newest = None;
        let record = |seq: u64| json!({"type": "message", "seq": seq});
        assert_eq!(missed(&mut newest, &record(5)), None);
        assert_eq!(missed(&mut newest, &record(6)), None);
        assert_eq!(missed(&mut newest, &record(10)), Some(3));
        assert_eq!(
            missed(&mut newest, &json!({"type": "gap", "from": 11, "seq": 20})),
            None
        );
        assert_eq!(missed(&mut newest, &record(21)), None);
    }
}
